"""Gateway workloads: which servers they open, and which VirtualServices answer on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ..bounded import NAMES, Bounded
from ..config.gateway import Server, ServerTLSMode, ServerTLSSettings
from ..reasons import Reason
from ..registry.protocols import protocol_of_name
from ..registry.services import selects
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol, Service
from .client import Client
from .connections import rows_of
from .decision import Decision, Failure, Redirect, Rule
from .lookup import Lookup
from .match import MatchRow, VirtualHost
from .memo import TablesMemo
from .names import covers, is_visible, specificity, strip_port
from .portnames import PortNames
from .request import Request
from .routes import Clusters, RouteBuilder
from .scope import Scope
from .servername import parse
from .streams import ConnectionRow, ConnectionRules
from .tables import Gateway, Tables, VirtualService
from .wildcards import Wildcards

#: How many different Host headers and SNIs are remembered: they come from outside and may be anything.
MAX_REMEMBERED = 8192

NO_HOST = Failure(reason=Reason.HOST_NOT_FOUND, status=404)


class ServerHost(msgspec.Struct, frozen=True):
    """One host of a server: which namespaces' VirtualServices may answer for it (`*`: any)."""

    namespace: str
    host: str
    gateway: str


class GatewayServer(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway listens for. Plain HTTP servers of one port are one, whatever Gateways they come from; of TLS
    servers there is one for each set of names, to be chosen by SNI. `credential_namespace` is where credentialName
    looks for its Secret."""

    port: int
    bind: str = ""
    protocol: Protocol = Protocol.HTTP
    hosts: tuple[ServerHost, ...] = ()
    tls: ServerTLSSettings | None = None
    https_redirect: tuple[str, ...] = ()  # hosts that plain HTTP is sent away from
    credential_namespace: str = ""
    gateway: str = ""

    @property
    def terminates(self) -> bool:
        """Whether TLS ends here."""
        return self.tls is not None and self.tls.mode not in (
            None,
            ServerTLSMode.PASSTHROUGH,
            ServerTLSMode.AUTO_PASSTHROUGH,
        )

    @property
    def is_http(self) -> bool:
        """Whether requests are decided, in plain text or behind the TLS that ends here."""
        return self.protocol in HTTP_PROTOCOLS or (self.protocol is Protocol.HTTPS and self.terminates)

    @property
    def is_auto_passthrough(self) -> bool:
        """Whether server names name clusters, and no VirtualService is asked."""
        return self.tls is not None and self.tls.mode is ServerTLSMode.AUTO_PASSTHROUGH

    def exposes(self, service: Service) -> bool:
        """Whether it is one of the mesh's own services, and of the server's hosts."""
        return not service.external and any(
            covers(exposed.host, service.host) and exposed.namespace in ("*", service.namespace)
            for exposed in self.hosts
        )


def servers_of(gateways: tuple[Gateway, ...], client: Client) -> tuple[GatewayServer, ...]:
    """The servers of all Gateways that select the workload, the oldest Gateway first. On one address and port a later
    server of another kind is dropped, and so are names that an earlier TLS server has."""
    found: list[GatewayServer] = []
    for gateway in gateways:
        if not selects(gateway.selector, client.labels):
            continue
        for server in gateway.servers:
            made = server_of(gateway, server, client)
            if made is not None:
                add_server(found, made)
    return tuple(found)


def server_of(gateway: Gateway, server: Server, client: Client) -> GatewayServer | None:
    if server.port is None or server.port.number is None:
        return None
    exposed = []
    for entry in server.hosts:
        namespace, _, host = entry.rpartition("/")
        namespace = gateway.namespace if namespace == "." else namespace or "*"
        exposed.append(ServerHost(namespace, host.lower(), gateway.key))
    tls = server.tls
    redirects = tls is not None and bool(tls.https_redirect)
    return GatewayServer(
        port=server.port.number,
        bind=server.bind or "",
        protocol=protocol_of_name(server.port.protocol or "") or Protocol.TCP,
        hosts=tuple(exposed),
        tls=tls,
        https_redirect=tuple(entry.host for entry in exposed) if redirects else (),
        credential_namespace=client.namespace,
        gateway=gateway.key,
    )


def add_server(found: list[GatewayServer], server: GatewayServer) -> None:
    same = [entry for entry in found if (entry.bind, entry.port) == (server.bind, server.port)]
    if not same:
        found.append(server)
        return
    plain = server.protocol in HTTP_PROTOCOLS
    if plain != (same[0].protocol in HTTP_PROTOCOLS) or server.protocol is Protocol.TCP:
        return
    if plain:
        merged = msgspec.structs.replace(
            same[0],
            hosts=tuple(dict.fromkeys((*same[0].hosts, *server.hosts))),
            https_redirect=tuple(dict.fromkeys((*same[0].https_redirect, *server.https_redirect))),
        )
        found[found.index(same[0])] = merged
        return
    taken = {exposed.host for entry in same for exposed in entry.hosts}
    hosts = tuple(exposed for exposed in server.hosts if exposed.host not in taken)
    if hosts:
        found.append(msgspec.structs.replace(server, hosts=hosts))


def names_at(servers: tuple[GatewayServer, ...], port: int) -> PortNames:
    hosts: dict[str, int] = {}
    clusters: dict[str, int] = {}
    for index, server in enumerate(servers):
        if server.port != port:
            continue
        if server.protocol in HTTP_PROTOCOLS or server.protocol not in TLS_PROTOCOLS:
            return PortNames({}, {}, index)
        for exposed in server.hosts:
            (clusters if server.is_auto_passthrough else hosts)[exposed.host] = index
    return PortNames(hosts, clusters, -1)


class Bound(NamedTuple):
    """A VirtualService as it answers for a domain through one Gateway."""

    key: str
    gateway: str


class GatewayRoutes:
    """The decisions of one gateway workload."""

    __slots__ = (
        "_by_authority",
        "_client",
        "_clusters",
        "_connections",
        "_domains",
        "_hosts",
        "_names",
        "_positions",
        "_scope",
        "_tables",
        "_wildcards",
        "servers",
    )

    def __init__(
        self, tables: Tables, client: Client, scope: Scope, clusters: Clusters, before: GatewayRoutes | None
    ) -> None:
        self._tables = tables
        self._client = client
        self._scope = scope
        self._clusters = clusters
        self.servers = servers_of(tables.gateways, client)
        self._names: dict[int, PortNames] = {}
        self._domains: dict[int, dict[str, tuple[Bound, ...]]] = {}
        self._wildcards: dict[int, Wildcards] = {}  # among the domains
        self._by_authority: Bounded[tuple[int, bytes], VirtualHost | None] = Bounded(MAX_REMEMBERED, NAMES)
        self._positions: Bounded[tuple[int, str], int] = Bounded(MAX_REMEMBERED, NAMES)
        self._hosts: TablesMemo[tuple[str, int, tuple[Bound, ...]], VirtualHost] = TablesMemo(
            tables, before._hosts if before is not None else None
        )
        self._connections: dict[int, ConnectionRules] = {}

    def server(self, port: int, sni: str = "") -> GatewayServer | None:
        position = self._position(port, sni)
        return self.servers[position] if position >= 0 else None

    def _position(self, port: int, sni: str) -> int:
        """The index of the server that answers on a port; of TLS servers it is the one with the most specific name for
        the SNI; -1 if there is none."""
        key = (port, sni)
        found = self._positions.found.get(key)
        if found is None:
            found = self._positions.keep(key, self._find_position(port, strip_port(sni)), len(sni))
        return found

    def _find_position(self, port: int, name: str) -> int:
        names = self._names.get(port)
        if names is None:
            names = self._names[port] = names_at(self.servers, port)
        return names.position(name)

    # === HTTP

    def http(self, port: int, request: Request, sni: str) -> Decision:
        found = self.rules_for(port, request.authority, request.scheme, sni)
        return found.decide(request) if isinstance(found, VirtualHost) else found

    def rules_for(self, port: int, authority: bytes, scheme: bytes, sni: str) -> VirtualHost | Decision:
        """The rules for a Host, or the answer that needs none."""
        position = self._position(port, sni)
        if position < 0:
            return NO_HOST
        server = self.servers[position]
        if server.https_redirect and scheme != b"https":
            name = strip_port(authority.decode("latin-1"))
            if any(covers(pattern, name) for pattern in server.https_redirect):
                return https_redirect(authority)
        host = self.virtual_host(position, authority)
        return host if host is not None else NO_HOST

    def virtual_host(self, position: int, authority: bytes) -> VirtualHost | None:
        """The rules of the most specific domain that covers the Host; None if there is none."""
        key = (position, authority)
        if key in self._by_authority.found:
            return self._by_authority.found[key]
        domain = self._domain(position, authority)
        bounds = self.domains(position)[domain] if domain is not None else ()
        found = self._virtual_host(self.servers[position], domain, bounds) if domain is not None else None
        return self._by_authority.keep(key, found, len(authority))

    def _domain(self, position: int, authority: bytes) -> str | None:
        """The most specific domain that covers a Host."""
        name = strip_port(authority.decode("latin-1"))
        domains = self.domains(position)
        return name if name in domains else next(self._wildcards[position].covering(name), None)

    def answering(self, port: int, sni: str, authority: bytes) -> tuple[str | None, tuple[Bound, ...]]:
        """The domain that a request falls to and the VirtualServices that answer for it."""
        position = self._position(port, sni)
        domain = self._domain(position, authority) if position >= 0 else None
        return domain, self.domains(position)[domain] if domain is not None else ()

    def domains(self, position: int) -> dict[str, tuple[Bound, ...]]:
        """Domain -> the VirtualServices that answer for it, the oldest first."""
        known = self._domains.get(position)
        if known is None:
            server = self.servers[position]
            found: dict[str, list[Bound]] = {}
            all_of_them = self._tables.virtual_services.values()
            for virtual_service in sorted(all_of_them, key=lambda entry: (entry.created, entry.key)):
                for domain, bound in self._answers(server, virtual_service):
                    if bound not in found.setdefault(domain, []):
                        found[domain].append(bound)
            known = self._domains[position] = {domain: tuple(bounds) for domain, bounds in found.items()}
            self._wildcards[position] = Wildcards(known)
        return known

    def _answers(self, server: GatewayServer, virtual_service: VirtualService) -> Iterator[tuple[str, Bound]]:
        if not is_visible(virtual_service.export_to, self._client.namespace):
            return
        for exposed in server.hosts:
            lookup = self._lookup(exposed.gateway)
            if exposed.namespace not in ("*", virtual_service.namespace) or not lookup.is_bound(virtual_service):
                continue
            for host in virtual_service.hosts:
                if covers(exposed.host, host):
                    yield host, Bound(virtual_service.key, exposed.gateway)
                elif covers(host, exposed.host):
                    yield exposed.host, Bound(virtual_service.key, exposed.gateway)

    def builder(self, gateway: str) -> RouteBuilder:
        """Makes decisions for what came by one Gateway."""
        return RouteBuilder(self._lookup(gateway), self._clusters)

    def _lookup(self, gateway: str) -> Lookup:
        return Lookup(self._tables, self._client, self._scope, (gateway,))

    def _virtual_host(self, server: GatewayServer, domain: str, bounds: tuple[Bound, ...]) -> VirtualHost:
        """The rules of all VirtualServices one after the other; those that match everything go to the end."""
        key = (domain, server.port, bounds)
        known = self._hosts.get(key)
        if known is not None:
            return known[0]
        rows: list[MatchRow] = []
        reads = []
        for bound in bounds:
            virtual_service = self._tables.virtual_services[bound.key]
            builder = self.builder(bound.gateway)
            rows += builder.http_rows(virtual_service, server.port)
            reads += builder.lookup.reads
            reads.append(("virtual_services", bound.key, virtual_service))
        rows.sort(key=lambda row: row.matches_all)
        first = self._tables.virtual_services[bounds[0].key]
        missing = Failure(rule=Rule(owner=first.owner), reason=Reason.ROUTE_NOT_FOUND, status=404)
        return self._hosts.keep(key, VirtualHost(domain, tuple(rows), missing), reads)

    # === connections

    def tls(self, port: int, sni: str) -> Decision:
        """Where a TLS connection that does not end here goes."""
        position = self._position(port, sni)
        if position < 0:
            return NO_HOST
        name = strip_port(sni)
        if self.servers[position].is_auto_passthrough:
            return self._auto_passthrough(self.servers[position], name)
        return self._connection_rules(position).tls(name, "")

    def _auto_passthrough(self, server: GatewayServer, name: str) -> Decision:
        """The cluster whose name is the TLS server name, among the services that the gateway's server exposes."""
        named = parse(name)
        if named is None:
            return NO_HOST
        builder = self.builder(server.gateway)
        service = builder.lookup.imported_service(named.host, named.port)
        if service is None or not server.exposes(service):
            return NO_HOST
        return builder.passthrough_route(service, named.port, named.subset) or NO_HOST

    def tcp(self, port: int, sni: str) -> Decision:
        """Where a plain connection goes, or the plain text of a TLS one that ends here."""
        position = self._position(port, sni)
        return self._connection_rules(position).tcp("") if position >= 0 else NO_HOST

    def _connection_rules(self, position: int) -> ConnectionRules:
        known = self._connections.get(position)
        if known is not None:
            return known
        server = self.servers[position]
        tls_rows: list[ConnectionRow] = []
        tcp_rows: list[ConnectionRow] = []
        bounds = dict.fromkeys(bound for bounds in self.domains(position).values() for bound in bounds)
        for bound in bounds:
            virtual_service = self._tables.virtual_services[bound.key]
            builder = self.builder(bound.gateway)
            if not server.terminates:
                for tls_rule in virtual_service.tls:
                    tls_rows += rows_of(builder, virtual_service, tls_rule, server.port)
            for tcp_rule in virtual_service.tcp:
                tcp_rows += rows_of(builder, virtual_service, tcp_rule, server.port)
        tls_rows.sort(key=lambda row: -max(map(specificity, row.names), default=0))
        missing = Failure(reason=Reason.ROUTE_NOT_FOUND, status=404)
        known = self._connections[position] = ConnectionRules(tuple(tls_rows), tuple(tcp_rows), missing)
        return known


def https_redirect(authority: bytes) -> Redirect:
    """httpsRedirect: 301 to the same URL with https, its port dropped."""
    host = strip_port(authority.decode("latin-1"))
    host = f"[{host}]" if ":" in host else host
    return Redirect(reason=Reason.HTTPS_REDIRECT, status=301, scheme=b"https", authority=host.encode("latin-1"))
