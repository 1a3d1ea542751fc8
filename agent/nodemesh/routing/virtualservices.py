"""VirtualServices compiled: hosts and gateways fully named, delegates merged in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object
from ..config.virtualservice import (
    Delegate,
    Destination,
    HTTPMatchRequest,
    HTTPRoute,
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualServiceSpec,
)
from ..registry.services import resolve_export_to
from .decision import Owner, Rule
from .delegates import PairCount, merge_route
from .names import MESH_GATEWAY, is_visible, resolve_gateway, resolve_host
from .tables import VIRTUAL_SERVICE, HttpRule, TcpRule, TlsRule, VirtualService

Objects = Mapping[str, Object[VirtualServiceSpec]]


def delegate_key(delegate: Delegate, namespace: str) -> str:
    return f"{delegate.namespace or namespace}/{delegate.name}"


def delegate_keys(item: Object[VirtualServiceSpec]) -> Iterator[str]:
    """The VirtualServices that this one delegates to."""
    for route in item.spec.http:
        if route.delegate is not None:
            yield delegate_key(route.delegate, item.meta.namespace)


def compile_virtual_service(
    item: Object[VirtualServiceSpec], objects: Objects, mesh: MeshConfigSpec
) -> VirtualService | None:
    """None for a VirtualService without hosts: a delegate means nothing by itself."""
    spec, meta = item.spec, item.meta
    if not spec.hosts:
        return None
    domain = mesh.cluster_domain
    http = tuple(http_rules(item, objects, mesh))
    tls = tuple(
        TlsRule(
            route=replace(
                route,
                match=tuple(
                    replace(match, gateways=resolved_gateways(match.gateways, meta.namespace)) for match in route.match
                ),
                route=resolved_destinations(route.route, meta.namespace, domain),
            ),
            rule=rule_of(item, "tls", index),
        )
        for index, route in enumerate(spec.tls)
    )
    tcp = tuple(
        TcpRule(
            route=replace(
                route,
                match=tuple(
                    replace(match, gateways=resolved_gateways(match.gateways, meta.namespace)) for match in route.match
                ),
                route=resolved_destinations(route.route, meta.namespace, domain),
            ),
            rule=rule_of(item, "tcp", index),
        )
        for index, route in enumerate(spec.tcp)
    )
    matches: list[HTTPMatchRequest | TLSMatchAttributes | L4MatchAttributes] = []
    for rule in http:
        matches.extend(rule.route.match)
    for tls_rule in tls:
        matches.extend(tls_rule.route.match)
    for tcp_rule in tcp:
        matches.extend(tcp_rule.route.match)
    return VirtualService(
        key=meta.key,
        namespace=meta.namespace,
        hosts=tuple(dict.fromkeys(resolve_host(host, meta.namespace, domain) for host in spec.hosts)),
        gateways=resolved_gateways(spec.gateways, meta.namespace) or (MESH_GATEWAY,),
        export_to=resolve_export_to(spec.export_to, meta.namespace, mesh.default_virtual_service_export_to),
        created=meta.created,
        http=http,
        tls=tls,
        tcp=tcp,
        location=item.location,
        labels=frozenset(key for match in matches for key in match.source_labels),
    )


def owner_of(item: Object[VirtualServiceSpec]) -> Owner:
    return Owner(kind=VIRTUAL_SERVICE, namespace=item.meta.namespace, name=item.meta.name, location=item.location)


def rule_of(item: Object[VirtualServiceSpec], kind: str, index: int) -> Rule:
    return Rule(
        owner=owner_of(item),
        path=f"spec.{kind}[{index}]",
        location=item.locate("spec", kind, index),
    )


def http_rules(item: Object[VirtualServiceSpec], objects: Objects, mesh: MeshConfigSpec) -> Iterator[HttpRule]:
    """The rules in order, each delegating one replaced by what its delegate makes of it. A delegate that is missing,
    not exported to the root's namespace, or delegates itself, makes nothing."""
    namespace, domain = item.meta.namespace, mesh.cluster_domain
    pairs = PairCount()
    for index, route in enumerate(item.spec.http):
        rule = rule_of(item, "http", index)
        if route.delegate is None:
            yield HttpRule(route=resolved_route(route, namespace, domain), rule=rule)
            continue
        target = objects.get(delegate_key(route.delegate, namespace))
        if target is None or target.spec.hosts:
            continue
        exported = resolve_export_to(
            target.spec.export_to, target.meta.namespace, mesh.default_virtual_service_export_to
        )
        if not is_visible(exported, namespace):
            continue
        root = resolved_route(route, namespace, domain)
        for inner_index, inner in enumerate(target.spec.http):
            if inner.delegate is not None or not pairs.takes(root, inner):
                continue
            merged = merge_route(root, resolved_route(inner, target.meta.namespace, domain))
            if merged is not None:
                yield HttpRule(route=merged, rule=rule, delegate=rule_of(target, "http", inner_index))


def resolved_route(route: HTTPRoute, namespace: str, domain: str) -> HTTPRoute:
    return replace(
        route,
        match=tuple(resolved_match(match, namespace) for match in route.match),
        route=tuple(
            replace(entry, destination=resolved_destination(entry.destination, namespace, domain))
            for entry in route.route
        ),
        mirror=resolved_destination(route.mirror, namespace, domain),
        mirrors=tuple(
            replace(entry, destination=resolved_destination(entry.destination, namespace, domain))
            for entry in route.mirrors
        ),
    )


def resolved_match(match: HTTPMatchRequest, namespace: str) -> HTTPMatchRequest:
    if not match.gateways:
        return match
    return replace(match, gateways=resolved_gateways(match.gateways, namespace))


def resolved_gateways(names: tuple[str, ...], namespace: str) -> tuple[str, ...]:
    return tuple(resolve_gateway(name, namespace) for name in names)


def resolved_destinations(
    routes: tuple[RouteDestination, ...], namespace: str, domain: str
) -> tuple[RouteDestination, ...]:
    return tuple(
        replace(entry, destination=resolved_destination(entry.destination, namespace, domain)) for entry in routes
    )


def resolved_destination(destination: Destination | None, namespace: str, domain: str) -> Destination | None:
    if destination is None:
        return None
    return replace(destination, host=resolve_host(destination.host or "", namespace, domain))
