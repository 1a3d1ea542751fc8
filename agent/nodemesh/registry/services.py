"""Registry services from Kubernetes Services: ports, virtual addresses and endpoints (from slices or from pods)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import msgspec

from ..bounded import Bounded
from ..config.core import EndpointSliceSpec, PodSpec, ServicePortSpec, ServiceSpec, SliceEndpoint
from ..config.meta import Object
from ..config.workload import WorkloadEntrySpec
from .addresses import canonical_address
from .changed import carried
from .podindex import PodIndex
from .protocols import select_protocol
from .site import Site
from .snapshot import NOWHERE, Endpoint, Health, Locality, RegistryPort, Resolution, Service, Workload

EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo"
TRAFFIC_DISTRIBUTION_ANNOTATION = "networking.istio.io/traffic-distribution"

#: What trafficDistribution can be, in lower case, and what it means (KEP-3015).
TRAFFIC_DISTRIBUTIONS = {
    "preferclose": "PreferSameZone",  # the older name
    "prefersamezone": "PreferSameZone",
    "prefersamenode": "PreferSameNode",
}

#: What counts where two disagree about an endpoint.
WORSE = {Health.READY: 0, Health.DRAINING: 1, Health.UNREADY: 2}

#: Once for all services and endpoints: a struct's own empty default is another dict for each.
NO_LABELS: Mapping[str, str] = {}

#: exportTo of most services.
EVERYBODY = ("*",)

#: Lists of ports as they were written, and as services have them: in a cluster they are few.
_PORTS: Bounded[tuple[ServicePortSpec, ...], tuple[RegistryPort, ...]] = Bounded(10_000)


class Backends(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand behind the services of one namespace: its pods, its entries by name, and all workloads by
    `namespace/name`. `gone` has the uids of pods that were there, and that slices still name."""

    pods: PodIndex
    entries: Mapping[str, Object[WorkloadEntrySpec]] = {}
    workloads: Mapping[str, Workload] = {}
    gone: Container[str] = ()


def service_host(name: str, namespace: str, domain: str) -> str:
    """In lower case, as names are compared everywhere: a file's namespace may be written in another."""
    return f"{name}.{namespace}.svc.{domain}".lower()


def resolve_export_to(values: Iterable[str], namespace: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """exportTo with `.` written out; `~` (nobody) becomes the empty tuple."""
    given = tuple(values) or default
    if given == EVERYBODY:
        return EVERYBODY
    return tuple(sorted({namespace if value == "." else value for value in given if value != "~"}))


def distribution_of(given: str, annotations: Mapping[str, str], default: str = "") -> str:
    """trafficDistribution by Istio's order: the Service's field, its annotation, its namespace's. An annotation that
    says nothing known means none."""
    annotated = annotations.get(TRAFFIC_DISTRIBUTION_ANNOTATION, "")
    return TRAFFIC_DISTRIBUTIONS.get(given.lower(), "") or (
        TRAFFIC_DISTRIBUTIONS.get(annotated.lower(), "") if annotated else default
    )


def service_of(
    service: Object[ServiceSpec], slices: Iterable[Object[EndpointSliceSpec]], backends: Backends, site: Site
) -> Service:
    """Slices count where there are any; else the pods and workload entries that the selector selects."""
    spec, meta = service.spec, service.meta
    slices = tuple(slices)
    endpoints: dict[int, tuple[Endpoint, ...]]
    alias_of = spec.external_name.lower().rstrip(".") if spec.type == "ExternalName" else ""
    if alias_of:
        endpoints = {}
    elif slices:
        endpoints = endpoints_of_slices(spec, slices, backends, site)
    else:
        endpoints = endpoints_of_selector(spec, meta.name, backends, site)
    return Service(
        host=service_host(meta.name, meta.namespace, site.domain),
        name=meta.name,
        namespace=meta.namespace,
        addresses=virtual_addresses(spec),
        published=tuple(address for address in spec.published if address),
        external_addresses=tuple(canonical_address(address) for address in spec.external_ips),
        ports=ports_of(spec.ports),
        endpoints=endpoints,
        resolution=resolution_of(spec),
        external=bool(alias_of),
        alias_of=alias_of,
        labels=meta.labels,
        annotations=meta.annotations,
        selector=NO_LABELS,
        export_to=resolve_export_to(
            (part.strip() for part in meta.annotations.get(EXPORT_TO_ANNOTATION, "").split(",") if part.strip()),
            meta.namespace,
            site.export_to,
        ),
        publish_not_ready=spec.publish_not_ready_addresses,
        traffic_distribution=distribution_of(
            spec.traffic_distribution, meta.annotations, site.distributions.get(meta.namespace, "")
        ),
        internal_traffic_policy=spec.internal_traffic_policy,
        session_affinity=spec.session_affinity,
        hints_nodes=any(endpoint.nodes for of_port in endpoints.values() for endpoint in of_port),
        created=meta.created,
        location=service.location,
    )


def with_former_endpoints(service: Service, before: Service) -> Service:
    """A service with the endpoints that it had before where they are equal."""
    endpoints = {
        number: carried(found, before.endpoints.get(number, ()), lambda endpoint: endpoint.address)
        for number, found in service.endpoints.items()
    }
    return msgspec.structs.replace(service, endpoints=endpoints)


def ports_of(specs: tuple[ServicePortSpec, ...]) -> tuple[RegistryPort, ...]:
    known = _PORTS.found.get(specs)
    if known is not None:
        return known
    found = tuple(
        RegistryPort(
            number=port.port,
            name=port.name,
            protocol=select_protocol(port.port, port.name, port.app_protocol, port.protocol),
        )
        for port in specs
    )
    return _PORTS.keep(specs, found)


def resolution_of(spec: ServiceSpec) -> Resolution:
    if spec.type == "ExternalName" and spec.external_name:
        return Resolution.ALIAS
    return Resolution.HEADLESS if spec.cluster_ip == "None" else Resolution.STATIC


def virtual_addresses(spec: ServiceSpec) -> tuple[str, ...]:
    """Cluster IPs (both families) and external IPs, in canonical form, which is how they are dialled."""
    found = dict.fromkeys((spec.cluster_ip, *spec.cluster_ips, *spec.external_ips))
    return tuple(canonical_address(address) for address in found if address and address != "None")


def endpoints_of_slices(
    spec: ServiceSpec, slices: tuple[Object[EndpointSliceSpec], ...], backends: Backends, site: Site
) -> dict[int, tuple[Endpoint, ...]]:
    """A slice's port belongs to the service port of the same name (Kubernetes' EndpointSlice controller)."""
    found: dict[int, dict[tuple[str, int], Endpoint]] = {port.port: {} for port in spec.ports}
    for piece in sorted(slices, key=lambda entry: entry.meta.name):
        if piece.spec.address_type == "FQDN":
            continue
        numbers = {port.name: port.port for port in piece.spec.ports}
        places = [(found[port.port], number) for port in spec.ports if (number := numbers.get(port.name))]
        if not places:
            continue
        for entry in piece.spec.endpoints:
            for endpoint in endpoints_of_entry(
                entry, places[0][1], piece.meta.namespace, backends, site, spec.publish_not_ready_addresses
            ):
                for of_port, number in places:
                    if (endpoint.address, number) not in of_port:
                        same = endpoint if number == endpoint.port else msgspec.structs.replace(endpoint, port=number)
                        of_port[endpoint.address, number] = same
    return {number: tuple(endpoints.values()) for number, endpoints in found.items()}


def endpoints_of_entry(
    entry: SliceEndpoint, port: int, namespace: str, backends: Backends, site: Site, publish_not_ready: bool = False
) -> Iterable[Endpoint]:
    key = entry.names(namespace)
    workload = backends.workloads.get(key) if key else None
    health = health_of_entry(entry, workload, backends, publish_not_ready)
    labels = workload.labels if workload is not None else NO_LABELS
    locality = site.localities.get(entry.node_name, NOWHERE)
    if workload is not None and workload.locality.region:
        locality = workload.locality
    elif not locality.zone and entry.zone:
        locality = Locality(region=locality.region, zone=entry.zone, subzone=locality.subzone)
    hints = entry.hints
    zones = tuple(place.name for place in hints.for_zones) if hints.for_zones else ()
    nodes = tuple(site.node_of(place.name) for place in hints.for_nodes) if hints.for_nodes else ()
    for address in entry.addresses:
        yield Endpoint(
            address=canonical_address(address),
            port=port,
            labels=labels,
            locality=locality,
            health=health,
            workload=key if workload else "",
            owner=workload.owner if workload else "",
            node=site.node_of(entry.node_name or (workload.node if workload else "")),
            hostname=entry.hostname,
            network=site.network_of(labels, address),
            cluster=site.cluster,
            zones=zones,
            nodes=nodes,
        )


def health_of_entry(
    entry: SliceEndpoint, workload: Workload | None, backends: Backends, publish_not_ready: bool
) -> Health:
    """The worse of what the slice and the pod say: the slice's controller lags behind the pod by up to a second, and
    the pod's own watch behind the slice by moments. Where the two are about different pods of one name, or where the
    pod is not known, the slice alone counts. A Service with publishNotReadyAddresses does not ask for readiness."""
    conditions = entry.conditions
    health = Health.READY if conditions.ready is not False else Health.UNREADY
    if conditions.terminating:
        health = Health.DRAINING if conditions.serving is not False else Health.UNREADY
    uid = entry.uid or entry.target_ref.uid
    if uid and uid in backends.gone:
        return Health.UNREADY
    if workload is None or (uid and workload.uid and uid != workload.uid):
        return health
    own = workload.health
    if own is Health.UNREADY and publish_not_ready and not workload.finished:
        own = Health.DRAINING if workload.leaving else Health.READY
    return max(health, own, key=WORSE.__getitem__)


def endpoints_of_selector(
    spec: ServiceSpec, service: str, backends: Backends, site: Site
) -> dict[int, tuple[Endpoint, ...]]:
    if not spec.selector:
        return {port.port: () for port in spec.ports}
    selected = backends.pods.selected(spec.selector)
    found: dict[int, tuple[Endpoint, ...]] = {}
    for port in spec.ports:
        of_pods = [endpoint_of_pod(pod, port, service, backends, site) for pod in selected]
        of_entries = [
            endpoint_of_workload_entry(entry, port, backends, site)
            for _, entry in sorted(backends.entries.items())
            if selects(spec.selector, {**entry.spec.labels, **entry.meta.labels})
        ]
        found[port.port] = tuple(endpoint for endpoint in (*of_pods, *of_entries) if endpoint is not None)
    return found


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def endpoint_of_pod(
    pod: Object[PodSpec], port: ServicePortSpec, service: str, backends: Backends, site: Site
) -> Endpoint | None:
    workload = backends.workloads.get(pod.meta.key)
    number = target_port(pod.spec, port)
    if workload is None or not workload.addresses or workload.finished or number is None:
        return None
    return Endpoint(
        address=canonical_address(workload.addresses[0]),
        port=number,
        labels=workload.labels,
        locality=workload.locality,
        health=workload.health,
        workload=workload.key,
        owner=workload.owner,
        node=workload.node,
        hostname=pod.spec.hostname if pod.spec.subdomain == service else "",
        network=workload.network,
        cluster=site.cluster,
    )


def target_port(pod: PodSpec, port: ServicePortSpec) -> int | None:
    """targetPort as a number: given as one, or the name of one of the pod's container ports (None: no such port)."""
    target = port.target_port
    if isinstance(target, int):
        return target or port.port
    if target.isdigit():
        return int(target)
    for container in (*pod.containers, *pod.init_containers):
        for candidate in container.ports:
            if candidate.name == target and candidate.protocol == port.protocol:
                return candidate.container_port
    return None


def endpoint_of_workload_entry(
    entry: Object[WorkloadEntrySpec], port: ServicePortSpec, backends: Backends, site: Site
) -> Endpoint | None:
    workload = backends.workloads.get(entry.meta.key)
    if workload is None or not workload.addresses:
        return None
    number = entry.spec.ports.get(port.name) or (port.target_port if isinstance(port.target_port, int) else 0)
    return Endpoint(
        address=canonical_address(workload.addresses[0]),
        port=number or port.port,
        labels=workload.labels,
        locality=workload.locality,
        weight=entry.spec.weight or 1,
        workload=workload.key,
        owner=workload.owner,
        network=entry.spec.network or "",
        cluster=site.cluster,
    )
