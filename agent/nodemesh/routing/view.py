"""A view: what one client sees of the tables, made on first use and kept while its inputs stay the same objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from ..bounded import NAMES, Bounded
from ..reasons import Reason
from ..registry.snapshot import TLS_PROTOCOLS, Protocol, Service
from .client import Client
from .connections import ServiceConnections
from .decision import Cluster, Decision, Failure, Owner, Rule
from .frontend import Frontend
from .frontends import Frontends
from .gatewayapi.rows import HTTP_KINDS, http_rows
from .gatewayapi.rules import ResolvedRoute
from .gatewayapi.serve import ListenerRoutes
from .gateways import GatewayRoutes, GatewayServer
from .index import EndpointIndex
from .listing import ReadSets, TableChanges
from .lookup import Lookup, still_holds
from .match import VirtualHost
from .memo import TablesMemo, ValuePool
from .names import strip_port
from .nametable import NameEntry, find_name
from .request import Request
from .routes import ClusterKey, Clusters, RouteBuilder
from .scope import Scope, sidecar_of
from .sight import Sight
from .streams import ConnectionRules
from .tables import Tables

#: How many different Host headers and names a view remembers: they come from outside and may be anything.
MAX_REMEMBERED = 8192


#: Stands for a service with routes that was not dialled, though the Host names it: its own address is its frontend.
ELSEWHERE = VirtualHost("", (), Failure(reason=Reason.HOST_NOT_FOUND, status=404))


class Pools:
    """What views have in common."""

    __slots__ = ("clusters", "connections", "frontends")

    def __init__(self) -> None:
        self.clusters: ValuePool[ClusterKey, Cluster | None] = ValuePool()
        self.connections: ValuePool[tuple[str, int], ConnectionRules] = ValuePool()
        self.frontends: ValuePool[tuple[str, int], Frontend] = ValuePool()


class View:
    """One client's mesh. Equal clients share one view, so `client` stands for all of them."""

    def __init__(
        self,
        tables: Tables,
        client: Client,
        index: EndpointIndex,
        read_sets: ReadSets,
        changes: TableChanges,
        resolved: Mapping[str, tuple[str, ...]],
        pools: Pools,
        previous: View | None = None,
    ) -> None:
        """`changes` tells what differs between versions of the tables; `resolved` has the hosts by their addresses in
        the DNS; `pools` are those of all views."""
        self.client = client
        self.tables = tables
        self.version = tables.version
        self.scope = Scope(sidecar_of(tables, client), tables.mesh)
        if previous is not None and (
            previous.tables.mesh is not tables.mesh or previous.scope.sidecar is not self.scope.sidecar
        ):
            previous = None
        clusters = Clusters(previous._sight.clusters.made if previous is not None else {}, pools.clusters)
        self._sight: Sight = Sight(tables, client, self.scope, clusters)
        self._unknown: Decision = self.builder().unknown_destination()
        self._unknown_host = VirtualHost("*", (), self.builder().unknown_host())
        self._connections: ServiceConnections = ServiceConnections(
            self._sight, pools.connections, previous._connections if previous is not None else None
        )
        self._frontends: Frontends = Frontends(
            self._sight,
            self._connections,
            self._unknown,
            index,
            read_sets,
            changes,
            resolved,
            pools.frontends,
            previous._frontends if previous is not None else None,
        )
        self._virtual_hosts: TablesMemo[tuple[str, int], VirtualHost] = TablesMemo(
            tables, previous._virtual_hosts if previous is not None else None
        )
        self._routed: TablesMemo[tuple[str, int], VirtualHost | None] = TablesMemo(
            tables, previous._routed if previous is not None else None
        )
        self._by_authority: Bounded[tuple[int, bytes], VirtualHost] = Bounded(MAX_REMEMBERED, NAMES)
        self._by_service: dict[tuple[int, str], VirtualHost] = {}
        self._by_dialled: Bounded[tuple[str, int, str], Decision] = Bounded(MAX_REMEMBERED)
        self._by_name: Bounded[str, NameEntry | None] = Bounded(MAX_REMEMBERED, NAMES)
        self._listeners: ListenerRoutes | None = None
        self._listeners_before = previous._listeners if previous is not None else None
        self._gateways: GatewayRoutes | None = None
        self._gateways_before = previous._gateways if previous is not None else None

    def builder(self) -> RouteBuilder:
        """Makes decisions for this client, with a fresh record of what it reads."""
        return self._sight.builder()

    # === what was dialled

    def frontend(self, address: str, port: int) -> Frontend:
        """The frontend that an address and port lead to, as this client sees it."""
        return self._frontends.at(address, port)

    def frontend_for_host(self, host: str, port: int) -> Frontend:
        """The frontend of a host at a port, as this client sees it."""
        return self._frontends.for_host(host, port)

    def frontends(self, resolved: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[Frontend]:
        """All frontends that this client sees."""
        return self._frontends.all(resolved)

    def services(self) -> Iterator[Frontend]:
        """The services that this client sees."""
        return self._frontends.services()

    def forget_addresses(self) -> None:
        """Some may mean something else from now on."""
        self._frontends.forget_addresses()

    def named(self, name: str) -> NameEntry | None:
        """What the mesh answers for a name in the DNS, None: nothing, the client's own nameserver does. Names come
        without a dot at the end."""
        name = name.lower()
        if name in self._by_name.found:
            return self._by_name.found[name]
        return self._by_name.keep(name, find_name(self._sight.lookup(), name), len(name))

    # === HTTP

    def http(self, frontend: Frontend, request: Request) -> Decision:
        """The decision for one request that came by `frontend`."""
        return self.virtual_host(frontend, request.authority).decide(request)

    def virtual_host(self, frontend: Frontend, authority: bytes) -> VirtualHost:
        """The rules for a Host header. The dialled service decides, whatever the Host says, where the Gateway API's
        routes stand on it (the cluster IP is the frontend, GEP-1294), and on a port of undeclared protocol, as in
        Istio."""
        port = frontend.logical_port
        service = frontend.service
        if service is not None and not frontend.endpoint and self.tables.mesh_routes:
            routed = self._routed_host(service, port)
            if routed is not None:
                return routed
        if service is not None and frontend.protocol is Protocol.AUTO:
            of_service = self._by_service.get((port, service.host))
            if of_service is None:
                current = self._current(service, port)
                of_service = self._service_host(current, port) if current is not None else self._unknown_host
                self._by_service[(port, service.host)] = of_service
            return of_service
        found = self._by_authority.found.get((port, authority))
        if found is None:
            found = self._find_host(strip_port(authority.decode("latin-1")), port)
            self._by_authority.keep((port, authority), found, len(authority))
        if found is ELSEWHERE:
            current = self._current(service, port) if service is not None and not frontend.endpoint else None
            return self._service_host(current, port) if current is not None else self._unknown_host
        return found

    def holds_in(self, other: View, rules: VirtualHost, port: int) -> bool:
        """Whether rules of this view are those of the client's view of other tables: nothing that they were made from
        differs there. False where that is not known."""
        if self.scope.sidecar is not other.scope.sidecar or self.tables.mesh is not other.tables.mesh:
            return False
        places = ((self._virtual_hosts.get((rules.host, port))), (self._virtual_hosts.get((rules.host, -port))))
        routed = self._routed.get((rules.host, port))
        found = [kept[1] for kept in (*places, routed) if kept is not None and kept[0] is rules]
        return bool(found) and still_holds(found[0], other.tables)

    def _routed_host(self, service: Service, port: int) -> VirtualHost | None:
        """The Gateway API's routes on the dialled service; None: it has none."""
        key = (service.host, port)
        known = self._routed.get(key)
        if known is not None:
            return known[0]
        builder = self.builder()
        lookup = builder.lookup
        lookup.service(service.host)
        routes = self._routes(service, port, lookup)
        found = None
        if routes:
            missing = not_found(min(routes, key=lambda route: route.age).owner)
            found = VirtualHost(service.host, http_rows(builder, routes), missing)
        return self._routed.keep(key, found, lookup.reads)

    def _routes(self, service: Service, port: int, lookup: Lookup) -> list[ResolvedRoute]:
        current = self._current(service, port)
        places = lookup.mesh_routes(current, port) if current is not None else ()
        return [lookup.route(place.key) for place in places if place.kind in HTTP_KINDS]

    def routes(self, frontend: Frontend) -> list[ResolvedRoute]:
        """The Gateway API's routes that requests by this frontend fall to."""
        if frontend.service is None or frontend.endpoint:
            return []
        return self._routes(frontend.service, frontend.logical_port, self._sight.lookup())

    def _current(self, service: Service, port: int) -> Service | None:
        """The service as it is in these tables: a connection may bring a frontend from before a change."""
        current = self._sight.lookup().imported_service(service.host, port)
        return current if current is not None and current.port(port) is not None else None

    def _find_host(self, name: str, port: int) -> VirtualHost:
        """As Envoy looks for a domain: names before wildcards. A wildcard of the registry and one of a VirtualService
        that stands for no service cannot both cover a name."""
        lookup = self._sight.lookup()
        service = lookup.exact_service(name, port)
        if service is None:
            named = self._unregistered_host(name, port, wildcards=False)
            if named is not None:
                return named
            service = lookup.wildcard_service(name, port)
        elif service.host != name:
            alias = self._alias_host(name, port)
            if alias is not None:
                return alias
        if service is not None:
            routed = self._routed_host(service, port) if self.tables.mesh_routes else None
            return self._service_host(service, port) if routed is None else ELSEWHERE
        return self._unregistered_host(name, port, wildcards=True) or self._unknown_host

    def _service_host(self, service: Service, port: int) -> VirtualHost:
        key = (service.host, port)
        known = self._virtual_hosts.get(key)
        if known is not None:
            return known[0]
        builder = self.builder()
        lookup = builder.lookup
        virtual_service = lookup.virtual_service(service.host)
        rows = builder.http_rows(virtual_service, port) if virtual_service is not None else ()
        if rows and virtual_service is not None:
            otherwise: Decision = not_found(virtual_service.owner)
        else:
            otherwise = builder.service_route(service, port)
        return self._virtual_hosts.keep(key, VirtualHost(service.host, rows, otherwise), lookup.reads)

    def _alias_host(self, name: str, port: int) -> VirtualHost | None:
        """An alias with a VirtualService of its own."""
        builder = self.builder()
        virtual_service = builder.lookup.alias_rules(name, port)
        rows = builder.http_rows(virtual_service, port) if virtual_service is not None else ()
        if virtual_service is None or not rows:
            return None
        return VirtualHost(name, rows, not_found(virtual_service.owner))

    def _unregistered_host(self, name: str, port: int, *, wildcards: bool) -> VirtualHost | None:
        """A VirtualService for a host that no service has; as Lookup.unregistered."""
        key = (name, -port)
        known = self._virtual_hosts.get(key)
        if known is not None:
            return known[0]
        builder = self.builder()
        lookup = builder.lookup
        virtual_service = lookup.unregistered(name, port, wildcards=wildcards)
        if virtual_service is None:
            return None
        rows = builder.http_rows(virtual_service, port)
        if not rows:
            return None
        return self._virtual_hosts.keep(key, VirtualHost(name, rows, not_found(virtual_service.owner)), lookup.reads)

    # === gateways

    @property
    def gateway(self) -> GatewayRoutes:
        """What this workload answers as a gateway."""
        if self._gateways is None:
            self._gateways = GatewayRoutes(
                self.tables, self.client, self.scope, self._sight.clusters, self._gateways_before
            )
            self._gateways_before = None
        return self._gateways

    @property
    def listeners(self) -> ListenerRoutes:
        """What this workload answers as one of the Gateway API's Gateways."""
        if self._listeners is None:
            self._listeners = ListenerRoutes(
                self.tables, self.client, self.scope, self._sight.clusters, self._listeners_before
            )
            self._listeners_before = None
        return self._listeners

    def servers(self) -> tuple[GatewayServer, ...]:
        """The ports that a gateway workload listens on, with their protocols, TLS settings and hosts."""
        return self.listeners.servers() + self.gateway.servers

    def gateway_protocol(self, port: int) -> Protocol | None:
        """What is spoken on a gateway's port (several TLS servers share one); None: no server is there."""
        return next(
            (each.protocol for each in self.servers() if each.port == port and each.protocol is not Protocol.UDP), None
        )

    def gateway_server(self, port: int, sni: str = "") -> GatewayServer | None:
        """The server for a connection to a gateway's port; None: nobody answers there, or not for that name."""
        return self.listeners.server(port, sni) if self.listeners.has(port) else self.gateway.server(port, sni)

    def http_gateway(self, port: int, request: Request, sni: str = "") -> Decision:
        """The decision for a request that came to a gateway's port, over TLS with that server name or in plain."""
        if self.listeners.has(port):
            return self.listeners.http(port, request, sni)
        return self.gateway.http(port, request, sni)

    def gateway_rules(self, port: int, authority: bytes, sni: str = "") -> VirtualHost | Decision:
        """The rules behind `http_gateway` for a Host, or the answer that needs none."""
        routes = self.listeners if self.listeners.has(port) else self.gateway
        return routes.rules_for(port, authority, b"https" if sni else b"http", sni)

    def tls_gateway(self, port: int, sni: str) -> Decision:
        """The decision for a TLS connection that does not end at the gateway."""
        return self.listeners.tls(port, sni) if self.listeners.has(port) else self.gateway.tls(port, sni)

    def tcp_gateway(self, port: int, sni: str = "") -> Decision:
        """The decision for an opaque connection, in plain or (with its server name) behind TLS that ends here."""
        return self.listeners.tcp(port, sni) if self.listeners.has(port) else self.gateway.tcp(port, sni)

    def udp_gateway(self, port: int) -> Decision:
        """The decision for the datagrams that one client sends to a gateway's port."""
        return self.listeners.udp(port)

    # === connections

    def tls(self, frontend: Frontend, sni: str, address: str = "") -> Decision:
        """The decision for a TLS connection, by the server name that its ClientHello asks for (empty: none); `address`
        is the dialled one, where the frontend has several."""
        name, address = strip_port(sni), address or dialled(frontend)
        service = self.tls_service(frontend, name, address)
        if service is None:
            return self._unknown
        return self._connections.rules(service, frontend.logical_port, self._sight.lookup()).tls(name, address)

    def tls_service(self, frontend: Frontend, name: str, address: str) -> Service | None:
        """The service that a TLS connection is for, by its own address if that was dialled, else by the server name."""
        port = frontend.logical_port
        service = self._current(frontend.service, port) if frontend.service is not None else None
        if service is not None and not is_named(service, port, address):
            return service
        named = self._sight.lookup().named_service(name, port) if name else None
        return named if named is not None and can_be_named(named, port, address) else None

    def tcp(self, frontend: Frontend, address: str = "") -> Decision:
        """The decision for a connection of unknown or opaque protocol; `address` as in `tls`."""
        if frontend.service is None:
            return self._unknown
        key = (frontend.service.host, frontend.logical_port, address)
        decision = self._by_dialled.found.get(key)
        if decision is None:
            service = self._current(frontend.service, frontend.logical_port)
            if service is None:
                return self._unknown
            rules = self._connections.rules(service, frontend.logical_port, self._sight.lookup())
            decision = self._by_dialled.keep(key, rules.tcp(address or dialled(frontend)))
        return decision


def is_named(service: Service, port: int, address: str) -> bool:
    """Whether a TLS connection to `address`, which led to the service, is its own only if it asks for it by name: the
    address may be others' too (a name's in the DNS, one of a network)."""
    spec = service.port(port)
    if spec is None or spec.protocol not in TLS_PROTOCOLS or service.kind != "ServiceEntry":
        return False
    return "/" in address or address not in (*service.addresses, *service.allocated)


def can_be_named(service: Service, port: int, address: str) -> bool:
    """Whether a server name alone leads to a service at `address`: a TLS port, no address of its own, and none outside
    of its networks (Istio gives such services a filter chain with their name)."""
    if not is_named(service, port, address):
        return False
    networks = [ip_network(network, strict=False) for network in service.addresses if "/" in network]
    if len(networks) < len(service.addresses):
        return False
    try:
        return not networks or any(ip_address(address) in network for network in networks)
    except ValueError:
        return True  # it was dialled by name


def dialled(frontend: Frontend) -> str:
    return frontend.addresses[0] if frontend.addresses else ""


def not_found(owner: Owner) -> Failure:
    return Failure(rule=Rule(owner=owner), reason=Reason.ROUTE_NOT_FOUND, status=404)
