"""Several ServiceEntries of one host and namespace: one service with the ports and endpoints of all (Istio's rules)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from .snapshot import Endpoint, RegistryPort, Resolution, Service

ENTRY = "ServiceEntry"


def merged(candidates: Sequence[Service]) -> tuple[Service, ...]:
    """The services of one host, in order of precedence: entries that are alike are one, with the settings of the first.
    Endpoints are those of all entries of the namespace with that resolution, alike or not, as Istio keeps them by host
    and namespace. Kubernetes' services are merged with nothing."""
    if sum(service.kind == ENTRY for service in candidates) < 2:
        return tuple(candidates)
    found: list[Service] = []
    for service in candidates:
        place = next((index for index, other in enumerate(found) if alike(other, service)), None)
        if place is None:
            found.append(service)
        else:
            found[place] = replace(found[place], ports=joined(found[place].ports, service.ports))
    return tuple(with_all_endpoints(service, candidates) for service in found)


def precedence(service: Service) -> tuple[bool, float, str, str]:
    """A Kubernetes Service comes before ServiceEntries of the same host, then the oldest."""
    return (service.kind != "Service", service.created, service.namespace, str(service.location))


def alike(one: Service, other: Service) -> bool:
    """Istio's canMergeServices; the host is the same."""
    return (
        one.kind == other.kind == ENTRY
        and one.namespace == other.namespace
        and one.resolution is other.resolution
        and one.labels == other.labels
        and one.selector == other.selector
        and one.export_to == other.export_to
    )


def joined(ports: tuple[RegistryPort, ...], more: Iterable[RegistryPort]) -> tuple[RegistryPort, ...]:
    """A port that both have is the first one's."""
    numbers = {port.number for port in ports}
    return (*ports, *(port for port in more if port.number not in numbers))


def with_all_endpoints(service: Service, candidates: Iterable[Service]) -> Service:
    if service.kind != ENTRY:
        return service
    sources = [
        other
        for other in candidates
        if (other.kind, other.namespace, other.resolution) == (ENTRY, service.namespace, service.resolution)
    ]
    return replace(service, endpoints={port.number: endpoints_of(port, sources) for port in service.ports})


def endpoints_of(port: RegistryPort, sources: Iterable[Service]) -> tuple[Endpoint, ...]:
    """Endpoints with addresses belong to a port by its name, those that are looked up by its number (Istio's EDS and
    CDS)."""
    found: dict[tuple[str, int], Endpoint] = {}
    for source in sources:
        for own in source.ports:
            belongs = own.name == port.name if source.resolution is Resolution.STATIC else own.number == port.number
            if belongs:
                for endpoint in source.endpoints.get(own.number, ()):
                    found.setdefault((endpoint.address, endpoint.port), endpoint)
    return tuple(found.values())
