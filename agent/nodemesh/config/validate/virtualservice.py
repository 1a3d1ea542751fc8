"""Rules of VirtualService (Istio's ValidateVirtualService and the CRD)."""

from __future__ import annotations

import re

import msgspec

from ..meta import Meta, Path
from ..problems import Findings
from ..virtualservice import HTTPMatchRequest, HTTPRoute, RouteDestination, TCPRoute, TLSRoute, VirtualServiceSpec
from .common import (
    check_export_to,
    check_host,
    check_labels,
    check_port,
    check_subnets,
    covers,
    is_ip,
    overlap,
)
from .httproute import (
    check_destination,
    check_gateway_names,
    check_http_route,
    check_source_namespace,
    check_weights,
)

MESH = "mesh"

#: `outbound_.PORT_.SUBSET_.HOST`, in Istio's reading.
_CLUSTER_NAME = re.compile(r"outbound_[^_]*[0-9][^_]*_[^_]*_[^_]*[a-zA-Z].*")


def check_virtual_service(spec: VirtualServiceSpec, meta: Meta, findings: Findings) -> None:
    delegate = not spec.hosts
    in_mesh = not spec.gateways or MESH in spec.gateways
    gateway_only = bool(spec.gateways) and not in_mesh
    if delegate:
        _delegate(spec, findings)
    check_gateway_names(spec.gateways, ("spec", "gateways"), findings)
    _hosts(spec, in_mesh, findings, cluster_names=gateway_only and any(m.sni_hosts for r in spec.tls for m in r.match))
    if not (spec.http or spec.tls or spec.tcp):
        findings.error("no-routes", ("spec",), "the VirtualService has no rules; http, tls or tcp is needed")
    for index, route in enumerate(spec.http):
        # a delegate learns from its root whether it serves a gateway
        gateway = gateway_only or delegate
        check_http_route(route, ("spec", "http", index), findings, delegate=delegate, gateway=gateway)
    for index, tls in enumerate(spec.tls):
        cluster_names = MESH not in spec.gateways
        _tls_route(tls, spec.hosts, ("spec", "tls", index), findings, cluster_names=cluster_names)
    for index, tcp in enumerate(spec.tcp):
        _tcp_route(tcp, ("spec", "tcp", index), findings)
    check_export_to(spec.export_to, meta, findings)
    _unreachable(spec.http, findings)


def _delegate(spec: VirtualServiceSpec, findings: Findings) -> None:
    for name, value in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
        if value:
            message = f"a VirtualService without hosts is a delegate, and a delegate has no {name}; add hosts"
            findings.error("bad-delegate", ("spec", name), message)


def _is_cluster_name(name: str) -> bool:
    """Whether it is a server name that names a cluster, as gateways of other networks are asked for (Istio's
    ValidateWildcardDomainForVirtualServiceBoundToGateway)."""
    return len(name) <= 255 and _CLUSTER_NAME.fullmatch(name) is not None


def _hosts(spec: VirtualServiceSpec, in_mesh: bool, findings: Findings, *, cluster_names: bool) -> None:
    """`cluster_names` says that a host may be one."""
    path: Path = ("spec", "hosts")
    good = True
    for index, host in enumerate(spec.hosts):
        if not (cluster_names and _is_cluster_name(host)):
            good = check_host(host, (*path, index), findings, ip=True) and good
        if host == "*" and in_mesh:
            message = "the host `*` is for gateways only; name the hosts, or name the gateways and leave mesh out"
            findings.bad_value("wildcard-in-mesh", (*path, index), message)
    if not good:
        return
    for index, host in enumerate(spec.hosts):
        for earlier in spec.hosts[:index]:
            if overlap(earlier, host):
                message = f"the hosts `{earlier}` and `{host}` overlap; leave one of them"
                findings.bad_value("duplicate-host", (*path, index), message)
                break


def _tls_route(route: TLSRoute, hosts: tuple[str, ...], path: Path, findings: Findings, *, cluster_names: bool) -> None:
    if not route.match:
        findings.error("missing-field", (*path, "match"), "a tls rule needs a match with sniHosts")
    for index, match in enumerate(route.match):
        here = (*path, "match", index)
        if not match.sni_hosts:
            findings.error("missing-field", (*here, "sniHosts"), "sniHosts is required in a tls match")
        for number, sni in enumerate(match.sni_hosts):
            place = (*here, "sniHosts", number)
            if is_ip(sni):
                findings.warning("sni-address", place, f"`{sni}` never matches: clients send no address as SNI")
                continue
            good = (cluster_names and _is_cluster_name(sni)) or check_host(sni, place, findings)
            if good and hosts and not any(covers(host, sni) for host in hosts):
                message = f"`{sni}` is not covered by the VirtualService's hosts ({', '.join(hosts)})"
                findings.bad_value("sni-not-in-hosts", place, message)
        check_subnets(match.destination_subnets, (*here, "destinationSubnets"), findings)
        if match.port is not None:
            check_port(match.port, (*here, "port"), findings)
        check_labels(match.source_labels, (*here, "sourceLabels"), findings)
        check_gateway_names(match.gateways, (*here, "gateways"), findings)
        check_source_namespace(match.source_namespace, (*here, "sourceNamespace"), findings)
    _destinations(route.route, path, findings)


def _tcp_route(route: TCPRoute, path: Path, findings: Findings) -> None:
    for index, match in enumerate(route.match):
        here = (*path, "match", index)
        check_subnets(match.destination_subnets, (*here, "destinationSubnets"), findings)
        if match.source_subnet:
            check_subnets((match.source_subnet,), (*here, "sourceSubnet"), findings)
        if match.port is not None:
            check_port(match.port, (*here, "port"), findings)
        check_labels(match.source_labels, (*here, "sourceLabels"), findings)
        check_gateway_names(match.gateways, (*here, "gateways"), findings)
        check_source_namespace(match.source_namespace, (*here, "sourceNamespace"), findings)
    _destinations(route.route, path, findings)


def _destinations(routes: tuple[RouteDestination, ...], path: Path, findings: Findings) -> None:
    if not routes:
        findings.error("missing-field", (*path, "route"), "the rule needs a route with a destination")
    for index, route in enumerate(routes):
        check_destination(route.destination, (*path, "route", index, "destination"), findings)
    check_weights(routes, (*path, "route"), findings)


def _unreachable(routes: tuple[HTTPRoute, ...], findings: Findings) -> None:
    """Warns of rules that no request reaches: all of it was taken by a rule before."""
    catch_all: int | None = None
    same: dict[bytes, tuple[int, int]] = {}
    prefixes: dict[str, tuple[int, int]] = {}
    for index, route in enumerate(routes):
        path: Path = ("spec", "http", index)
        if catch_all is not None:
            message = f"no request reaches this rule: http[{catch_all}] takes every request before it"
            findings.warning("unreachable-rule", path, message)
            continue
        if not route.match:
            catch_all = index
        for number, match in enumerate(route.match):
            conditions = _conditions(match)
            first = same.get(conditions) or _prefix_before(match, prefixes)
            if first is not None:
                message = f"no request reaches this match: http[{first[0]}].match[{first[1]}] takes the same before it"
                findings.warning("unreachable-match", (*path, "match", number), message)
                continue
            same[conditions] = (index, number)
            if conditions == NO_CONDITIONS:
                catch_all = index
            prefix = match.uri.prefix if match.uri is not None else None
            if prefix is not None and conditions == _conditions(HTTPMatchRequest(uri=match.uri)):
                prefixes[prefix] = (index, number)


def _conditions(match: HTTPMatchRequest) -> bytes:
    """What a match asks for, comparable: without its names, and with a path that is any path left out."""
    uri = match.uri
    if uri is not None and (uri.prefix in ("", "/") or uri.regex == ".*"):
        uri = None
    bare = msgspec.structs.replace(match, name=None, stat_prefix=None, uri=uri)
    return msgspec.json.encode(bare, order="deterministic")


NO_CONDITIONS = _conditions(HTTPMatchRequest())


def _prefix_before(match: HTTPMatchRequest, prefixes: dict[str, tuple[int, int]]) -> tuple[int, int] | None:
    """The earlier match by a shorter prefix alone that takes all that this one asks for."""
    if match.uri is None or match.ignore_uri_case:
        return None
    text = match.uri.prefix or match.uri.exact or ""
    return next((at for prefix, at in prefixes.items() if text.startswith(prefix)), None)
