"""What a decision comes to, aspect by aspect, in words that two versions of it can be compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from ...registry.snapshot import HTTP_PROTOCOLS
from ...registry.snapshot import Protocol as PortProtocol
from ..answer import explained_ops, outcome_of
from ..decision import (
    Cluster,
    Cors,
    Decision,
    DirectResponse,
    Failure,
    Fault,
    HttpVersion,
    Mirror,
    Redirect,
    Retry,
    Rewrite,
    Route,
    WeightedCluster,
)

#: The aspects by name, `to` being where it goes.
Told = Mapping[str, str]

TO = "to"

#: Between an aspect's name and its destination.
OF = " of "

#: Something with nothing but defaults.
ON = "on"

#: What each cluster has, if only by default.
ALWAYS = ("load balancing", "connection pool")

#: Ports whose protocol is guessed may speak HTTP.
AUTO: Final = PortProtocol.AUTO

#: How endpoints are spoken to, where that is not HTTP/1.1.
HTTP = {HttpVersion.HTTP2: "HTTP/2", HttpVersion.CLIENT: "the client's own version"}

#: What a side without an aspect has instead.
DEFAULTS = {
    "load balancing": "LEAST_REQUEST, the default",
    "connection pool": "the defaults",
    "locality": "all endpoints alike",
}
NONE = "none"

#: The ends of names of fields whose floats are seconds.
SECONDS = ("timeout", "duration", "interval", "ejection", "ttl", "time")


class ClusterOrigins(Protocol):
    """What a cluster comes from, and does not carry."""

    domain: str

    def labels(self, host: str, subset: str) -> Mapping[str, str] | None:
        """Of a host's subset; None: it has none of that name."""

    def locality(self, cluster: Cluster) -> str:
        """Which endpoints come first, in words; empty where they are equal."""


class Teller:
    """Remembers what it has told: many requests fall to one decision. `home` is the namespace whose services go by
    their short names, at `port` without it; `plain` where connections without HTTP are decided about: nobody tries
    those again."""

    def __init__(self, home: str, port: int, lookup: ClusterOrigins, *, plain: bool = False) -> None:
        self._plain = plain
        self._home = home
        self._port = port
        self._domain = lookup.domain
        self._lookup = lookup
        self._known: dict[int, tuple[Decision, Told]] = {}
        self._clusters: dict[int, tuple[Cluster, list[tuple[str, str]]]] = {}

    def tell(self, decision: Decision) -> Told:
        known = self._known.get(id(decision))
        if known is None:
            known = self._known[id(decision)] = decision, dict(self._aspects(decision))
        return known[1]

    def _aspects(self, decision: Decision) -> Iterator[tuple[str, str]]:
        yield TO, self._where(decision)
        yield from self._common(decision)
        if isinstance(decision, Route):
            yield from self._route(decision)

    def _where(self, decision: Decision) -> str:
        if isinstance(decision, Redirect):
            return redirect(decision)
        if isinstance(decision, DirectResponse):
            body = f" with {decision.body[:60]!r}"[:80] if decision.body else ""
            return f"answered here with {decision.status}{body}"
        if isinstance(decision, Failure):
            return f"{decision.status} ({outcome_of(decision)[0].replace('_', ' ')})"
        assert isinstance(decision, Route)
        shares: dict[str, float] = {}
        for destination in decision.destinations:
            name = self._destination(destination)
            shares[name] = shares.get(name, 0) + destination.weight
        total = decision.total_weight or 1
        parts = sorted(((share / total * 100, name) for name, share in shares.items() if share), key=by_share)
        if len(parts) == 1:
            return parts[0][1]
        return ", ".join(f"{percent:g} % {name}" for percent, name in parts) or "nowhere"

    def _destination(self, destination: WeightedCluster) -> str:
        if destination.instead is not None:
            return self._where(destination.instead)
        if destination.cluster is None:
            return f"nowhere: {destination.cluster_name} is unknown"
        return self._cluster(destination.cluster)

    def _cluster(self, cluster: Cluster) -> str:
        name = self._name(cluster.host)
        port = f":{cluster.port}" if cluster.port not in (0, self._port) else ""
        return f"{name}{port} {cluster.subset}" if cluster.subset else f"{name}{port}"

    def _name(self, host: str) -> str:
        bare, found, rest = host.partition(".svc.")
        if not found or rest != self._domain:
            return host
        name, _, namespace = bare.partition(".")
        return name if namespace == self._home else f"{name}.{namespace}"

    def _common(self, decision: Decision) -> Iterator[tuple[str, str]]:
        for which, ops in (("request", decision.request_headers), ("response", decision.response_headers)):
            if ops is not None:
                yield f"{which} headers", changes(explained_ops(ops))
        if decision.fault is not None:
            yield "fault", fault(decision.fault)
        if decision.cors is not None:
            yield "CORS", cors(decision.cors)

    def _route(self, route: Route) -> Iterator[tuple[str, str]]:
        if route.rewrite is not None:
            yield "rewrite", rewrite(route.rewrite)
        if route.timeout:
            yield "timeout", f"{route.timeout:g} s"
        if route.retry is not None and not self._plain:
            yield "retries", retries(route.retry)
        if route.mirrors:
            yield "mirror", ", ".join(map(self._mirror, route.mirrors))
        if route.auth is not None:
            yield "external auth", settings(msgspec.structs.replace(route.auth, cluster=None))
        if route.session is not None:
            yield "session", settings(route.session)
        for destination in route.destinations:
            yield from self._of_destination(destination)

    def _mirror(self, mirror: Mirror) -> str:
        to = self._cluster(mirror.cluster) if mirror.cluster is not None else f"nowhere ({mirror.cluster_name})"
        return to if mirror.percent == 100 else f"{mirror.percent:g} % to {to}"

    def _of_destination(self, destination: WeightedCluster) -> Iterator[tuple[str, str]]:
        cluster = destination.cluster
        if cluster is None:
            return
        name = self._cluster(cluster)
        for which, ops in (("request", destination.request_headers), ("response", destination.response_headers)):
            if ops is not None:
                yield of(f"{which} headers", name), changes(explained_ops(ops))
        if destination.rewrite is not None:
            yield of("rewrite", name), rewrite(destination.rewrite)
        if destination.mirrors:
            yield of("mirror", name), ", ".join(map(self._mirror, destination.mirrors))
        known = self._clusters.get(id(cluster))
        if known is None:
            known = self._clusters[id(cluster)] = cluster, list(self._of_cluster(cluster, name))
        yield from known[1]

    def _of_cluster(self, cluster: Cluster, name: str) -> Iterator[tuple[str, str]]:
        labels = self._lookup.labels(cluster.host, cluster.subset) if cluster.subset else None
        if labels is not None:
            yield of("pods", name), ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "all"
        if cluster.reserve is not None:
            yield of("failover", name), "any endpoint"
        locality = self._lookup.locality(cluster)
        if locality:
            yield of("locality", name), locality
        if cluster.tunnel is not None and cluster.protocol not in HTTP_PROTOCOLS:
            method = "POST" if cluster.tunnel.post else "CONNECT"
            yield of("tunnel", name), f"{method} to {cluster.tunnel.target.decode(errors='replace')}"
        if cluster.proxy_protocol:
            yield of("PROXY protocol", name), f"version {cluster.proxy_protocol}"
        if cluster.upstream_http is not HttpVersion.HTTP1 and cluster.protocol in {*HTTP_PROTOCOLS, AUTO}:
            yield of("HTTP", name), HTTP[cluster.upstream_http]
        for what, value in (
            ("load balancing", cluster.load_balancer),
            ("connection pool", cluster.pool),
            ("outlier detection", cluster.outlier),
            ("retry budget", cluster.retry_budget),
            ("session", cluster.session),
            ("TLS", cluster.tls),
        ):
            text = settings(value) if value is not None else ""
            if text and (text != ON or what not in ALWAYS):
                yield of(what, name), text


def of(what: str, name: str) -> str:
    """The aspect of one destination."""
    return f"{what}{OF}{name}"


def matters(aspect: str, old: Told, new: Told) -> bool:
    """Whether an aspect is one of both sides: that a destination comes or goes shows in where requests go."""
    _, found, name = aspect.partition(OF)
    return not found or all(name in destinations(side[TO]) for side in (old, new))


def destinations(told: str) -> set[str]:
    return {part.partition(" % ")[2] or part for part in told.split(", ")}


def by_share(part: tuple[float, str]) -> tuple[float, str]:
    return -part[0], part[1]


def settings(value: msgspec.Struct) -> str:
    """The fields that are set, in the order of their names' definition."""
    kind = type(value)
    defaults = dict(
        zip(kind.__struct_fields__[-len(kind.__struct_defaults__) :], kind.__struct_defaults__, strict=True)
    )
    parts = []
    for name in kind.__struct_fields__:
        found = getattr(value, name)
        if name in defaults and found == defaults[name]:
            continue
        unit = " s" if isinstance(found, float) and name.endswith(SECONDS) else ""
        parts.append(f"{camel(name)} {shown(found)}{unit}")
    return ", ".join(parts) or ON


def absent(aspect: str) -> str:
    """What a side has that says nothing of an aspect."""
    return DEFAULTS.get(aspect.partition(OF)[0], NONE)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, msgspec.Struct):
        return f"({settings(value)})"
    if isinstance(value, frozenset):
        return "/".join(sorted(map(shown, value)))
    if isinstance(value, tuple):
        return "/".join(map(shown, value))
    if isinstance(value, Mapping):
        return "/".join(f"{shown(key)}={shown(each)}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def changes(found: Mapping[str, Any]) -> str:
    parts = [f"remove {name}" for name in found.get("remove", ())]
    parts += [f"{word} {name}: {value}" for word in ("set", "add") for name, value in found.get(word, {}).items()]
    return ", ".join(parts)


def redirect(decision: Redirect) -> str:
    scheme = decision.scheme.decode() or "same scheme"
    authority = decision.authority.decode(errors="replace") or "same host"
    port = f":{decision.port}" if decision.port else ""
    uri = decision.uri.decode(errors="replace") if decision.uri is not None else "same path"
    if decision.prefix >= 0:
        uri = f"path with its first {decision.prefix} bytes as {uri}"
    changed = f", {decision.substitute}" if decision.substitute is not None else ""
    return f"redirect {decision.status} to {scheme}, {authority}{port}, {uri}{changed}"


def rewrite(value: Rewrite) -> str:
    parts = []
    if value.uri is not None:
        uri = value.uri.decode(errors="replace")
        parts.append(f"path to {uri}" if value.prefix < 0 else f"path's first {value.prefix} bytes to {uri}")
    if value.substitute is not None:
        parts.append(f"path with {value.substitute}")
    if value.authority:
        parts.append(f"host to {value.authority.decode(errors='replace')}")
    return ", ".join(parts)


def fault(value: Fault) -> str:
    parts = []
    if value.delay_percent:
        parts.append(f"{value.delay_percent:g} % wait {value.delay:g} s")
    if value.abort_percent:
        status = f"gRPC status {value.abort_grpc}" if value.abort_grpc >= 0 else str(value.abort_status)
        parts.append(f"{value.abort_percent:g} % get {status}")
    return ", ".join(parts) or "none"


def retries(value: Retry) -> str:
    if not value.attempts:
        return "none"
    on = sorted(value.on) + [str(code) for code in sorted(value.status_codes)]
    on += [name.decode() for name in sorted(value.header_names)]
    parts = [f"{value.attempts} on {','.join(on)}"]
    if value.per_try_timeout:
        parts.append(f"{value.per_try_timeout:g} s each")
    plain = Retry()
    if (value.backoff_base, value.backoff_max) != (plain.backoff_base, plain.backoff_max):
        parts.append(f"after {value.backoff_base:g} to {value.backoff_max:g} s")
    if not value.ignore_previous_hosts:
        parts.append("the same endpoint too")
    if value.remote_localities:
        parts.append("remote localities too")
    return ", ".join(parts)


def cors(value: Cors) -> str:
    parts = [f"origins {value.allow_origin}"]
    for name in ("methods", "headers", "expose", "max_age"):
        found = getattr(value, name)
        if found:
            parts.append(f"{camel(name)} {shown(found)}")
    if value.credentials:
        parts.append("credentials")
    if not value.forward_unmatched:
        parts.append("others refused")
    return ", ".join(parts) or "on"
