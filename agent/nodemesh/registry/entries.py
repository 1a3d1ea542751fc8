"""Registry services from ServiceEntries: one per host, with endpoints given inline or selected by labels."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import serviceentry
from ..config.meta import Object
from ..config.serviceentry import ServiceEntrySpec, ServiceEntryStatus
from ..config.validate.common import is_ip
from ..config.workload import WorkloadEntrySpec
from .addresses import canonical_address
from .allocate import ALLOCATED
from .protocols import protocol_of_name
from .services import Backends, distribution_of, resolve_export_to, selects
from .site import Site
from .snapshot import Endpoint, Protocol, RegistryPort, Resolution, Service, Workload
from .workloads import locality_of_entry

UNIX = "unix://"

#: Resolutions by which a host without endpoints is one itself.
LOOKED_UP = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


def services_of(entry: Object[ServiceEntrySpec], backends: Backends, site: Site) -> tuple[Service, ...]:
    spec, meta = entry.spec, entry.meta
    resolution = Resolution(spec.resolution.value) if spec.resolution else Resolution.NONE
    ports = tuple(
        RegistryPort(
            number=port.number or 0,
            name=port.name or "",
            protocol=protocol_of_name(port.protocol or "") or Protocol.AUTO,
        )
        for port in spec.ports
    )
    looked_up = resolution in LOOKED_UP and not spec.endpoints and spec.workload_selector is None
    of_all = {} if looked_up else {port.number or 0: endpoints_of_port(entry, port, backends) for port in spec.ports}
    return tuple(
        Service(
            host=host.lower().rstrip("."),
            name=host,
            namespace=meta.namespace,
            addresses=tuple(canonical_address(address) for address in spec.addresses),
            ports=ports,
            endpoints={port.number or 0: itself(host, port) for port in spec.ports} if looked_up else of_all,
            resolution=resolution,
            external=spec.location is not serviceentry.EntryLocation.MESH_INTERNAL,
            kind="ServiceEntry",
            entry=meta.name,
            labels=meta.labels,
            annotations=meta.annotations,
            export_to=resolve_export_to(spec.export_to, meta.namespace, site.export_to),
            selector=selector_of(spec),
            subject_alt_names=spec.subject_alt_names,
            allocated=allocated_to(host, entry.status) if resolution in ALLOCATED and not spec.addresses else (),
            traffic_distribution=distribution_of("", meta.annotations, site.distributions.get(meta.namespace, "")),
            created=meta.created,
            location=entry.location,
        )
        for host in spec.hosts
    )


def selector_of(spec: ServiceEntrySpec) -> dict[str, str]:
    selector = spec.workload_selector
    return (selector.labels or selector.match_labels) if selector is not None else {}


def allocated_to(host: str, status: object) -> tuple[str, ...]:
    """The addresses that Istio's control plane has allocated for a host, where there is one beside us: all proxies and
    all who answer DNS are to have the same. What is no address counts as none."""
    if not isinstance(status, ServiceEntryStatus):
        return ()
    given = (address.value or "" for address in status.addresses if address.host == host)
    return tuple(canonical_address(value) for value in given if is_ip(value))


def itself(host: str, port: serviceentry.ServicePort) -> tuple[Endpoint, ...]:
    """A DNS entry without endpoints resolves its own host."""
    return (Endpoint(address=host, port=port.target_port or port.number or 0),)


def endpoints_of_port(
    entry: Object[ServiceEntrySpec], port: serviceentry.ServicePort, backends: Backends
) -> tuple[Endpoint, ...]:
    """Inline endpoints, else selected workloads: the same for all hosts. With resolution NONE the dialled address is
    the endpoint."""
    spec = entry.spec
    if spec.workload_selector is not None:
        return tuple(selected_endpoints(selector_of(spec), port, backends))
    return tuple(inline_endpoint(endpoint, port, entry.meta.namespace) for endpoint in spec.endpoints)


def inline_endpoint(endpoint: WorkloadEntrySpec, port: serviceentry.ServicePort, namespace: str) -> Endpoint:
    address = endpoint.address or ""
    return Endpoint(
        address=canonical_address(address),
        port=0 if address.startswith(UNIX) else endpoint_port(endpoint, port),
        labels=endpoint.labels,
        locality=locality_of_entry(endpoint, endpoint.labels),
        weight=endpoint.weight or 1,
        network=endpoint.network or "",
    )


def endpoint_port(endpoint: WorkloadEntrySpec, port: serviceentry.ServicePort) -> int:
    """The endpoint's own port of that name, else targetPort, else the port's number."""
    return endpoint.ports.get(port.name or "") or port.target_port or port.number or 0


def selected_endpoints(
    selector: dict[str, str], port: serviceentry.ServicePort, backends: Backends
) -> Iterable[Endpoint]:
    for _, entry in sorted(backends.entries.items()):
        workload = backends.workloads.get(entry.meta.key)
        if workload is not None and workload.addresses and selects(selector, workload.labels):
            yield endpoint_of(
                workload, endpoint_port(entry.spec, port), weight=entry.spec.weight or 1, network=entry.spec.network
            )
    for pod in backends.pods.selected(selector):
        workload = backends.workloads.get(pod.meta.key)
        if workload is None or workload.finished or not workload.addresses:
            continue
        yield endpoint_of(workload, port.target_port or port.number or 0, weight=1, network=workload.network)


def endpoint_of(workload: Workload, port: int, *, weight: int, network: str | None) -> Endpoint:
    address = workload.addresses[0]
    return Endpoint(
        address=canonical_address(address),
        port=0 if address.startswith(UNIX) else port,
        labels=workload.labels,
        locality=workload.locality,
        weight=weight,
        health=workload.health,
        workload=workload.key,
        owner=workload.owner,
        node=workload.node,
        network=network or "",
    )
