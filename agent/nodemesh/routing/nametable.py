"""The names that the mesh answers for in the DNS, as one client sees them (Istio's name table): services and entries by
their addresses; whatever is not here is for the client's own nameserver to know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..registry.snapshot import Health, Resolution, Service
from .lookup import Lookup
from .names import expand_alias
from .networks import is_elsewhere
from .wildcards import wildcards_of


class NameEntry(NamedTuple):
    """What a name stands for: addresses of both families, not empty. `alias` is the host whose addresses they are,
    where the client's resolver had put its search domain behind it; else empty. `allocated`: they are the mesh's own,
    and mean something to its hooks only."""

    addresses: tuple[str, ...]
    alias: str = ""
    allocated: bool = False


def find_name(lookup: Lookup, name: str) -> NameEntry | None:
    """What a name (in lower case, without the dot at its end) stands for; None: the mesh does not know."""
    domain = lookup.tables.mesh.cluster_domain
    found = _host(lookup, name)
    alias = expand_alias(name, lookup.client.namespace, domain)
    if found is None and alias is not None:
        found = _host(lookup, alias, kind="Service")
    if found is None:
        found = _searched(lookup, name, f".{lookup.client.namespace}.svc.{domain}")
    if found is None:  # a wildcard that the client does not see hides none behind it
        covering = wildcards_of(lookup.tables.wildcard_services).covering(name)
        found = next((entry for pattern in covering if (entry := _host(lookup, pattern)) is not None), None)
    return found


def _searched(lookup: Lookup, name: str, suffix: str) -> NameEntry | None:
    """A name that is complete already, with the first of Kubernetes' search domains behind it: said at once, it spares
    the client one question for each of the others."""
    if not name.endswith(suffix):
        return None
    host = name.removesuffix(suffix)
    found = _host(lookup, host)
    return found._replace(alias=host) if found is not None else None


def _host(lookup: Lookup, host: str, kind: str = "") -> NameEntry | None:
    service = lookup.imported_service(host)
    if service is not None and (kind in ("", service.kind) or service.host != host):  # aliases are Kubernetes' names
        if service.allocated:
            return NameEntry(service.allocated, allocated=True)
        addresses = tuple(dict.fromkeys(addresses_of(service, lookup.client.network)))
        return NameEntry(addresses) if addresses else None
    return _pod(lookup, host) if service is None else None


def addresses_of(service: Service, network: str = "") -> Iterator[str]:
    """Those that its name stands for, to a client of this network. CIDRs cannot be dialled."""
    if service.resolution is not Resolution.HEADLESS:
        for address in service.addresses:
            if "/" not in address and address not in service.external_addresses:
                yield address
        return
    for endpoints in service.endpoints.values():
        for endpoint in endpoints:
            if is_elsewhere(endpoint, network):
                continue
            if endpoint.health is Health.READY or service.publish_not_ready:
                yield endpoint.address


def _pod(lookup: Lookup, name: str) -> NameEntry | None:
    """A pod with a hostname of its own under a headless service: pod-0.service.namespace.svc…"""
    hostname, _, parent = name.partition(".")
    service = lookup.imported_service(parent)
    if service is None or service.resolution is not Resolution.HEADLESS:
        return None
    addresses = dict.fromkeys(
        endpoint.address
        for endpoints in service.endpoints.values()
        for endpoint in endpoints
        if endpoint.hostname == hostname
        and (endpoint.health is Health.READY or service.publish_not_ready)
        and not is_elsewhere(endpoint, lookup.client.network)
    )
    return NameEntry(tuple(addresses)) if addresses else None
