"""Which services' requests go another way by an edit of rules: what was counted of them before says nothing of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..config.destinationrule import DestinationRuleSpec
from ..config.gatewayapi.common import BackendReference, ParentReference
from ..config.gatewayapi.routes import GRPCRouteSpec, HTTPRouteSpec, TCPRouteSpec, TLSRouteSpec
from ..config.meta import Object
from ..config.virtualservice import Destination, VirtualServiceSpec
from ..registry.store import Edit
from ..routing.names import expand_alias


def hosts_touched(edits: Iterable[Edit], domain: str) -> set[str]:
    """Full names of the services that the rules are about or lead to, as they were or as they are; `domain` is the
    cluster's."""
    found: set[str] = set()
    for edit in edits:
        if edit.before is not None and edit.after is not None and edit.before.spec == edit.after.spec:
            continue
        for item in (edit.before, edit.after):
            if item is not None:
                for host in map(str.lower, _hosts(item)):
                    found |= {host, expand_alias(host, item.meta.namespace, domain) or host}  # a.b may be either
    return found


def _hosts(item: Object[Any]) -> Iterator[str]:
    spec = item.spec
    if isinstance(spec, DestinationRuleSpec):
        yield spec.host or ""
    elif isinstance(spec, VirtualServiceSpec):
        yield from spec.hosts
        yield from (to.host or "" for to in _destinations(spec) if to is not None)
    elif isinstance(spec, HTTPRouteSpec | GRPCRouteSpec | TLSRouteSpec | TCPRouteSpec):
        references: list[BackendReference | ParentReference] = [*spec.parent_refs]
        for rule in spec.rules:
            references += rule.backend_refs
        yield from (f"{one.name}.{one.namespace or item.meta.namespace}" for one in references if one.kind == "Service")


def _destinations(spec: VirtualServiceSpec) -> Iterator[Destination | None]:
    for http in spec.http:
        yield from (entry.destination for entry in http.route)
        yield http.mirror
        yield from (mirror.destination for mirror in http.mirrors)
    for route in spec.tls:
        yield from (entry.destination for entry in route.route)
    for connection in spec.tcp:
        yield from (entry.destination for entry in connection.route)
