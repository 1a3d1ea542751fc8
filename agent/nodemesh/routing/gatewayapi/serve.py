"""A gateway's workload at work: its listeners, which of them a connection or request belongs to, and the decision."""

from __future__ import annotations

from ...bounded import NAMES, Bounded
from ...reasons import Reason
from ...registry.snapshot import Protocol
from ..client import Client
from ..decision import Decision, Failure, Rule
from ..gateways import NO_HOST, GatewayServer, ServerHost
from ..lookup import Lookup
from ..match import VirtualHost
from ..memo import TablesMemo
from ..names import strip_port
from ..request import Request
from ..routes import Clusters, RouteBuilder
from ..scope import Scope
from ..streams import ConnectionRules
from ..tables import Tables
from . import GATEWAY_NAME_LABEL
from .hosts import best, host_covers, specificity
from .names import label_value
from .rows import HTTP_KINDS, connection_row, http_rows
from .rules import ListenerRoute, ResolvedRoute, ServedListener

#: How many different Host headers and server names are remembered: they come from outside and may be anything.
MAX_REMEMBERED = 8192

#: A request whose Host belongs to another listener than its connection (RFC 9110 section 15.5.20).
MISDIRECTED = Failure(reason=Reason.MISDIRECTED, status=421)


def serves(listener: ServedListener, client: Client) -> bool:
    """Whether a workload is one of the Gateway's: by its label (GEP-1762)."""
    namespace, _, name = listener.gateway.partition("/")
    return (
        client.gateway and client.namespace == namespace and client.labels.get(GATEWAY_NAME_LABEL) == label_value(name)
    )


class ListenerRoutes:
    """The decisions of one gateway workload for the listeners of its Gateway."""

    __slots__ = (
        "_by_request", "_client", "_clusters", "_connections", "_for_connections", "_hosts", "_scope", "_tables",
        "listeners",
    )  # fmt: skip

    def __init__(
        self, tables: Tables, client: Client, scope: Scope, clusters: Clusters, before: ListenerRoutes | None
    ) -> None:
        self._tables = tables
        self._client = client
        self._scope = scope
        self._clusters = clusters
        self.listeners = tuple((key, entry) for key, entry in tables.listeners.items() if serves(entry, client))
        self._for_connections = tuple(entry for entry in self.listeners if entry[1].protocol != "UDP")
        self._hosts: TablesMemo[tuple[str, str], VirtualHost] = TablesMemo(
            tables, before._hosts if before is not None else None
        )
        self._by_request: Bounded[tuple[int, str, bytes, bool], VirtualHost | Decision] = Bounded(
            MAX_REMEMBERED, 2 * NAMES
        )
        self._connections: dict[str, ConnectionRules] = {}

    def servers(self) -> tuple[GatewayServer, ...]:
        return tuple(server_of(listener) for _, listener in self.listeners)

    def has(self, port: int) -> bool:
        """Whether connections come to a port; datagrams have ports of their own."""
        return any(listener.port == port for _, listener in self._for_connections)

    def _at(self, port: int, name: str) -> tuple[str, ServedListener] | None:
        """The listener for connections with the most specific host for a name."""
        fitting = [
            entry for entry in self._for_connections if entry[1].port == port and host_covers(entry[1].hostname, name)
        ]
        return max(fitting, key=lambda entry: specificity(entry[1].hostname), default=None)

    def server(self, port: int, sni: str) -> GatewayServer | None:
        found = self._at(port, strip_port(sni))
        return server_of(found[1]) if found is not None else None

    # === HTTP

    def http(self, port: int, request: Request, sni: str) -> Decision:
        found = self.rules_for(port, request.authority, request.scheme, sni)
        return found.decide(request) if isinstance(found, VirtualHost) else found

    def rules_for(self, port: int, authority: bytes, scheme: bytes, sni: str) -> VirtualHost | Decision:
        """The rules for a Host, or the answer that needs none."""
        secure = bool(sni) or scheme == b"https"
        key = (port, sni, authority, secure)
        found = self._by_request.found.get(key)
        if found is None:
            found = self._by_request.keep(key, self._find(port, authority, sni, secure), len(authority) + len(sni))
        return found

    def _find(self, port: int, authority: bytes, sni: str, secure: bool) -> VirtualHost | Decision:
        """A host belongs to the most specific listener alone, whatever that has for it."""
        name = strip_port(authority.decode("latin-1"))
        found = self._at(port, name)
        if found is None:
            return NO_HOST
        if secure:
            reached = self._at(port, strip_port(sni))
            if reached is not None and reached[0] != found[0]:
                return MISDIRECTED
        return self._virtual_host(*found, name) or NO_HOST

    def answering(self, port: int, authority: bytes) -> tuple[str | None, list[ResolvedRoute]]:
        """The host that a request falls to, and the routes that answer for it."""
        name = strip_port(authority.decode("latin-1"))
        found = self._at(port, name)
        domain, places = domain_of(found[1], name) if found is not None else (None, [])
        return domain, [self._tables.routes[place.key] for place in places if domain in place.hosts]

    def _virtual_host(self, key: str, listener: ServedListener, name: str) -> VirtualHost | None:
        """The rules of the most specific host of a listener's routes."""
        domain, places = domain_of(listener, name)
        if domain is None:
            return None
        known = self._hosts.get((key, domain))
        if known is not None:
            return known[0]
        builder = self._builder(key, listener)
        lookup = builder.lookup
        routes = [lookup.route(route.key) for route in places if domain in route.hosts]
        owner = min(routes, key=lambda route: route.age).owner
        missing = Failure(rule=Rule(owner=owner), reason=Reason.ROUTE_NOT_FOUND, status=404)
        lookup.reads.append(("listeners", key, listener))
        return self._hosts.keep((key, domain), VirtualHost(domain, http_rows(builder, routes), missing), lookup.reads)

    def any_builder(self) -> RouteBuilder | None:
        """Makes clusters as all of the Gateway's listeners have them; None for who is no Gateway's workload."""
        return self._builder(*self.listeners[0]) if self.listeners else None

    def _builder(self, key: str, listener: ServedListener) -> RouteBuilder:
        lookup = Lookup(self._tables, self._client, self._scope, (listener.gateway,), (key, listener))
        return RouteBuilder(lookup, self._clusters)

    # === connections

    def tls(self, port: int, sni: str) -> Decision:
        """Where TLS that does not end here goes."""
        found = self._at(port, strip_port(sni))
        return self._rules(*found).tls(strip_port(sni), "") if found is not None else NO_HOST

    def tcp(self, port: int, sni: str) -> Decision:
        """Where a plain connection goes, or the plain text of TLS that ends here."""
        found = self._at(port, strip_port(sni))
        if found is None:
            return NO_HOST
        rules = self._rules(*found)
        return rules.tls(strip_port(sni), "") if sni else rules.tcp("")

    def udp(self, port: int) -> Decision:
        """Where the datagrams of a client go."""
        for key, listener in self.listeners:
            if listener.port == port and listener.protocol == "UDP":
                return self._rules(key, listener).tcp("")
        return NO_HOST

    def _rules(self, key: str, listener: ServedListener) -> ConnectionRules:
        known = self._connections.get(key)
        if known is not None:
            return known
        builder = self._builder(key, listener)
        named: list[tuple[str, ResolvedRoute]] = []
        plain: list[ResolvedRoute] = []
        for place in listener.routes:
            route = builder.lookup.route(place.key)
            if place.kind == "TLSRoute":
                named += [(host, route) for host in place.hosts]
            elif place.kind in ("TCPRoute", "UDPRoute"):
                plain.append(route)
        named.sort(key=lambda entry: (tuple(-part for part in specificity(entry[0])), entry[1].age))
        plain.sort(key=lambda route: route.age)
        rules = ConnectionRules(
            tuple(connection_row(builder, route, (host,) if host else ()) for host, route in named),
            tuple(connection_row(builder, route, ()) for route in plain[:1]),
            Failure(reason=Reason.ROUTE_NOT_FOUND, status=404),
        )
        self._connections[key] = rules
        return rules


def domain_of(listener: ServedListener, name: str) -> tuple[str | None, list[ListenerRoute]]:
    """The most specific host of a listener's routes for HTTP that takes a name, and all of these routes."""
    places = [route for route in listener.routes if route.kind in HTTP_KINDS]
    return best({host for route in places for host in route.hosts}, name), places


def server_of(listener: ServedListener) -> GatewayServer:
    return GatewayServer(
        port=listener.port,
        protocol=Protocol(listener.protocol),
        hosts=(ServerHost("*", listener.hostname or "*", listener.gateway),),
        tls=listener.tls,
        credential_namespace=listener.owner.namespace,
        gateway=listener.gateway,
    )
