"""Where two versions are asked: each host and port that clients dial, and each host that a gateway serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ...config.meshconfig import FailurePolicy
from ...registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol, Service
from ..decision import Decision
from ..frontend import Frontend, Mode
from ..match import VirtualHost
from ..names import covers
from ..tables import Tables
from ..view import View

#: Ports of hosts that no service has, where their rules name none.
USUAL_PORTS = (80,)

#: What comes where HTTP is spoken.
REQUESTS = "requests"

#: A host that nobody has, and how all such are named in a difference.
NOBODY = "nobody.invalid"
UNKNOWN = "*"

#: How a connection's way is named, and which there are.
WAY = "way"
WAYS = {Mode.PASS: "untouched", Mode.KERNEL: "balanced in the kernel", Mode.PROXY: "through the proxy"}

Rules = VirtualHost | Decision | None


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One place with both sides' rules there; None: nothing listens. `what` is what comes there: requests, or
    connections. `home` is the namespace of its service."""

    host: str
    port: int
    home: str
    old: Rules
    new: Rules
    what: str = REQUESTS
    authorities: tuple[bytes, ...] = (b"",)
    gateway: bool = False
    ways: tuple[Mapping[str, str], Mapping[str, str]] | None = None  # which way connections take, in words


def mesh_spots(old: View, new: View, hosts: dict[str, set[int]]) -> Iterator[Spot]:
    """What a client in the mesh meets, host by host; `hosts` are to be asked at these ports."""
    for host, ports in hosts.items():
        for port in sorted(ports):
            before, after = old.frontend_for_host(host, port), new.frontend_for_host(host, port)
            if before.service is None and after.service is None and not (knows(old, host) or knows(new, host)):
                continue
            yield from at_port(old, new, host, port, before, after)
            yield from ways_at(host, port, before, after)
    before, after = old.frontend_for_host(NOBODY, USUAL_PORTS[0]), new.frontend_for_host(NOBODY, USUAL_PORTS[0])
    if not (knows(old, NOBODY) or knows(new, NOBODY)):
        yield Spot(host=UNKNOWN, port=0, home="", old=old.tcp(before), new=new.tcp(after), what="connections")


def ways_at(host: str, port: int, before: Frontend, after: Frontend) -> Iterator[Spot]:
    """Where connections to a service go through the proxy on one side alone, or are treated otherwise without it."""
    if before.service is None or after.service is None:
        return
    ways = ways_of(before), ways_of(after)
    found = [{name: text for name, text in one.items() if text != other.get(name)} for one, other in (ways, ways[::-1])]
    if before.mode is not after.mode:
        for side, frontend in zip(found, (before, after), strict=True):
            side[WAY] = f"{side[WAY]} ({frontend.mode_reason})"
    if any(found):
        home = after.service.namespace
        yield Spot(host=host, port=port, home=home, old=None, new=None, what="connections", ways=(found[0], found[1]))


def ways_of(frontend: Frontend) -> dict[str, str]:
    closed = frontend.failure_policy is FailurePolicy.CLOSED and frontend.mode is Mode.PROXY
    return {WAY: WAYS[frontend.mode], "while the agent is down": "refused" if closed else "direct, without rules"}


def knows(view: View, host: str) -> bool:
    """Whether a VirtualService that the client sees is for a host that no service has."""
    return any(covers(name, host) for name in view.tables.virtual_hosts)


def at_port(old: View, new: View, host: str, port: int, before: Frontend, after: Frontend) -> Iterator[Spot]:
    service = after.service or before.service
    home = service.namespace if service is not None else ""
    kinds = {frontend.protocol for frontend in (before, after) if frontend.service is not None or service is None}
    names = names_of(host, service, old.tables.mesh.cluster_domain)
    authorities = tuple(text.encode() for name in names for text in (name, f"{name}:{port}"))
    if any(kind in HTTP_PROTOCOLS or kind is Protocol.AUTO for kind in kinds):
        yield Spot(
            host=host,
            port=port,
            home=home,
            old=http_rules(old, before, authorities[0]),
            new=http_rules(new, after, authorities[0]),
            authorities=authorities,
        )
    if any(kind in TLS_PROTOCOLS or (kind is Protocol.AUTO and service is not None) for kind in kinds):
        for name in server_names(host, old.tables, new.tables):
            what = f"TLS connections for {name}"
            yield Spot(host=host, port=port, home=home, old=old.tls(before, name), new=new.tls(after, name), what=what)
    if service is not None and any(kind not in HTTP_PROTOCOLS and kind not in TLS_PROTOCOLS for kind in kinds):
        for address in ("", *addresses(old.tables, new.tables)):
            what = f"connections to {address}" if address else "connections"
            before_, after_ = old.tcp(before, address), new.tcp(after, address)
            yield Spot(host=host, port=port, home=home, old=before_, new=after_, what=what)


def http_rules(view: View, frontend: Frontend, authority: bytes) -> Rules:
    if frontend.service is not None and frontend.protocol not in HTTP_PROTOCOLS | {Protocol.AUTO}:
        return view.tcp(frontend)
    return view.virtual_host(frontend, authority)


def names_of(host: str, service: Service | None, domain: str) -> list[str]:
    """The host as clients may name it."""
    found = [host]
    if service is not None and host == f"{service.name}.{service.namespace}.svc.{domain}":
        found += [f"{service.name}.{service.namespace}", f"{service.name}.{service.namespace}.svc"]
    return found


def server_names(host: str, *versions: Tables) -> list[str]:
    """A server name for each class of them that TLS rules of this host know."""
    found = {sample(host)}
    for tables in versions:
        for virtual_service in tables.virtual_services.values():
            if any(covers(name, host) or covers(host, name) for name in virtual_service.hosts):
                for rule in virtual_service.tls:
                    found |= {sample(name.lower()) for match in rule.route.match for name in match.sni_hosts}
    return sorted(found)


def addresses(*versions: Tables) -> list[str]:
    """An address of each network that rules for connections name."""
    found = set()
    for tables in versions:
        for virtual_service in tables.virtual_services.values():
            for rule in virtual_service.connections:
                for match in rule.route.match:
                    found |= {subnet.partition("/")[0] for subnet in match.destination_subnets}
    return sorted(found)


def sample(name: str) -> str:
    """A name that a wildcard covers."""
    return f"other{name[1:] or '.example'}" if name.startswith("*") else name


def gateway_spots(old: View, new: View) -> Iterator[Spot]:
    """What somebody outside meets at a gateway."""
    ports = {server.port for view in (old, new) for server in view.servers()}
    for port in sorted(ports):
        hosts = sorted({sample(host) for view in (old, new) for host in hosts_at(view, port)})
        for host in hosts:
            yield gateway_spot(old, new, port, host)


def gateway_spot(old: View, new: View, port: int, host: str) -> Spot:
    before, is_http = gateway_rules(old, port, host)
    after, also = gateway_rules(new, port, host)
    what = REQUESTS if is_http or also else f"connections for {host}"
    authorities = (host.encode(), f"{host}:{port}".encode())
    return Spot(host=host, port=port, home="", old=before, new=after, what=what, authorities=authorities, gateway=True)


def hosts_at(view: View, port: int) -> set[str]:
    """The hosts that a port's servers and the rules behind them know."""
    exposed = {each.host for server in view.servers() if server.port == port for each in server.hosts}
    found = set(exposed)
    for virtual_service in view.tables.virtual_services.values():
        names = set(virtual_service.hosts)
        names |= {name for rule in virtual_service.tls for match in rule.route.match for name in match.sni_hosts}
        found |= {name for name in names if any(covers(pattern, name) for pattern in exposed)}
    for route in view.tables.routes.values():
        found |= {name for name in route.hostnames if any(covers(pattern, name) for pattern in exposed)}
    return found


def gateway_rules(view: View, port: int, host: str) -> tuple[Rules, bool]:
    """The rules for a host at a port, and whether requests are decided there."""
    plain = view.gateway_server(port, "")
    server = plain if plain is not None and plain.tls is None else view.gateway_server(port, host)
    if server is None:
        return None, False
    if server.is_http:
        return view.gateway_rules(port, host.encode(), host if server.terminates else ""), True
    if server.tls is not None and not server.terminates:
        return view.tls_gateway(port, host), False
    return view.tcp_gateway(port, host if server.terminates else ""), False
