"""Views: what one client sees of the tables, made on first use and kept while its inputs stay the same objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from ..reasons import Reason
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Locality, Protocol, Resolution, Service, ServicePort
from .client import Client
from .connections import ConnectionRules, connection_rules
from .decision import Decision, Failure, Route, Rule
from .frontend import Frontend, Mode, allocated_frontend
from .gateways import GatewayRoutes, GatewayServer
from .index import EndpointIndex
from .listing import Changes, Listed, Listing, ReadSets
from .lookup import Lookup
from .match import VirtualHost
from .memo import Memo
from .mode import choose_mode, failure_policy_of
from .names import canonical, strip_port
from .nametable import Named, find_name
from .request import Request
from .routes import Clusters, RouteBuilder
from .scope import Scope, sidecar_of
from .tables import Tables

#: How many different Host headers and addresses a view remembers: they come from outside and may be anything.
MAX_REMEMBERED = 8192

#: Every address, for where unknown ones are not let pass; what stays inside a pod is none of the mesh's business.
EVERYWHERE = ("0.0.0.0/0", "::/0")
LOOPBACK = ("127.0.0.0/8", "::1/128")
ANY_PORT = 0

#: Protocols that say which host is meant, whatever address was dialled.
TELL_NAMES = HTTP_PROTOCOLS | TLS_PROTOCOLS

#: How many different sets of reads are held for each host of the registry before they are forgotten.
SETS_PER_HOST = 8

#: The port on which VirtualServices for hosts outside the registry apply, as in Istio.
UNREGISTERED_PORT = 80


class View:
    """One client's mesh. Equal clients share one view, so `client` stands for all of them."""

    def __init__(
        self,
        tables: Tables,
        client: Client,
        index: EndpointIndex,
        read_sets: ReadSets,
        changes: Changes,
        resolved: Mapping[str, tuple[str, ...]],
        previous: View | None = None,
    ) -> None:
        """`changes` tells what differs between versions of the tables; `resolved` has the hosts by their addresses in
        the DNS."""
        self.client = client
        self.tables = tables
        self.version = tables.version
        self.scope = Scope(sidecar_of(tables, client), tables.mesh)
        if previous is not None and (
            previous.tables.mesh is not tables.mesh or previous.scope.sidecar is not self.scope.sidecar
        ):
            previous = None
        self._index = index
        self._read_sets = read_sets
        self._changes = changes
        self._resolved = resolved
        self._listing: Listing = Listing(previous._listing if previous is not None else None)
        self._clusters: Clusters = Clusters(previous._clusters.made if previous is not None else {})
        self._virtual_hosts: Memo[tuple[str, int], VirtualHost] = Memo(
            tables, previous._virtual_hosts if previous is not None else None
        )
        self._connections: Memo[tuple[str, int], ConnectionRules] = Memo(
            tables, previous._connections if previous is not None else None
        )
        self._service_frontends: Memo[tuple[str, int], Frontend] = Memo(
            tables, previous._service_frontends if previous is not None else None
        )
        self._by_authority: dict[tuple[int, bytes], VirtualHost] = {}
        self._by_service: dict[tuple[int, str], VirtualHost] = {}
        self._by_address: dict[tuple[str, int], Frontend] = {}
        self._by_host: dict[tuple[str, int], ConnectionRules] = {}
        self._by_name: dict[str, Named | None] = {}
        self._gateways: GatewayRoutes | None = None
        self._gateways_before = previous._gateways if previous is not None else None
        self._unknown = self.builder().unknown_destination()
        self._unknown_host = VirtualHost("*", (), self._unknown)

    def _lookup(self) -> Lookup:
        return Lookup(self.tables, self.client, self.scope)

    def builder(self) -> RouteBuilder:
        """Makes decisions for this client, with a fresh record of what it reads."""
        return RouteBuilder(self._lookup(), self._clusters)

    # === what was dialled

    def frontend(self, address: str, port: int) -> Frontend:
        """The meaning of a dialled address: a service's virtual address, an endpoint's own, or nothing known. A host
        name stands for the service of that name (`--expose`)."""
        key = (address, port)
        found = self._by_address.get(key)
        if found is None:
            if len(self._by_address) >= MAX_REMEMBERED:
                self._by_address.clear()
            found = self._by_address[key] = self._find_frontend(canonical(address), port)
        return found

    def forget_addresses(self) -> None:
        """Some may mean something else from now on."""
        self._by_address.clear()

    def _find_frontend(self, address: str, port: int) -> Frontend:
        lookup = self._lookup()
        for host in self._hosts_at(address):
            service = lookup.imported_service(host, port)
            if service is not None and service.port(port) is not None:
                frontend = self._service_frontend(service, port)
                return allocated_frontend(frontend) if address in service.allocated else frontend
        for host, service_port in self._index.find(address, port):
            service = lookup.imported_service(host, service_port)
            if service is not None and service.port(service_port) is not None:
                return self._endpoint_frontend(service, service_port, (address,), port)
        named = lookup.named_service(strip_port(address), port)
        if named is not None:
            return self._service_frontend(named, port)
        return self._unknown_frontend(address, port)

    def _hosts_at(self, address: str) -> Iterator[str]:
        yield from self.tables.addresses.get(address, ())
        yield from self._resolved.get(address, ())
        if not self.tables.networks:
            return
        try:
            dialled = ip_address(address)
        except ValueError:
            return
        for network, host in self.tables.networks:
            if dialled in ip_network(network, strict=False):
                yield host

    def _unknown_frontend(self, address: str, port: int) -> Frontend:
        return self._nobodys_frontend((address,), port)

    def _nobodys_frontend(self, addresses: tuple[str, ...], port: int) -> Frontend:
        """Addresses that the registry does not know."""
        passes = self._passes_unknown
        return Frontend(
            addresses=addresses,
            port=port,
            protocol=Protocol.AUTO,
            mode=Mode.PASS if passes else Mode.PROXY,
            mode_reason="the registry does not know the address"
            if passes
            else f"the registry does not know the address, and outboundTrafficPolicy is {self._unknown_policy}",
            failure_policy=failure_policy_of(None, self.tables.mesh),
        )

    @property
    def _unknown_policy(self) -> str:
        return "REGISTRY_ONLY" if isinstance(self._unknown, Failure) else "to send it to an egressProxy"

    @property
    def _passes_unknown(self) -> bool:
        return self._unknown.reason is Reason.PASSTHROUGH

    def _service_frontend(self, service: Service, port: int) -> Frontend:
        key = (service.host, port)
        known = self._service_frontends.get(key)
        if known is not None:
            return known[0]
        builder = self.builder()
        lookup = builder.lookup
        lookup.imported_service(service.host, port)
        spec = service.port(port)
        assert spec is not None
        tcp = self._connection_rules(service, port, lookup).tcp(service.addresses[0] if service.addresses else "")
        mode, reason = choose_mode(service, spec, lookup, tcp)
        frontend = Frontend(
            addresses=service.addresses,
            port=port,
            protocol=spec.protocol,
            service=service,
            mode=mode,
            mode_reason=reason,
            failure_policy=failure_policy_of(service, self.tables.mesh),
            tcp=tcp if mode is Mode.KERNEL and isinstance(tcp, Route) else None,
        )
        return self._service_frontends.keep(key, frontend, lookup.reads)

    def _endpoint_frontend(
        self, service: Service, service_port: int, addresses: tuple[str, ...], port: int
    ) -> Frontend:
        """An endpoint dialled by its own address. Only rules bring such a connection to the proxy: it has chosen its
        endpoint already."""
        logical = self._service_frontend(service, service_port)
        return replace(
            logical,
            addresses=addresses,
            port=port,
            service_port=0 if port == service_port else service_port,
            mode=Mode.PASS if logical.mode is Mode.KERNEL else logical.mode,
            mode_reason="an endpoint was dialled by its own address"
            if logical.mode is Mode.KERNEL
            else logical.mode_reason,
            tcp=None,
        )

    def frontend_for_host(self, host: str, port: int) -> Frontend:
        """The meaning of a host that was dialled by name (any alias), or of an address."""
        name = strip_port(host)
        service = self._lookup().named_service(name, port)
        if service is not None:
            frontend = self._service_frontend(service, port)
            return allocated_frontend(frontend) if service.allocated else frontend
        return self.frontend(name, port)

    def named(self, name: str) -> Named | None:
        """What the mesh answers for a name in the DNS, None: nothing, the client's own nameserver does. Names come
        without a dot at the end."""
        name = name.lower()
        if name not in self._by_name:
            if len(self._by_name) >= MAX_REMEMBERED:
                self._by_name.clear()
            self._by_name[name] = find_name(self._lookup(), name)
        return self._by_name[name]

    def frontends(self, resolved: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[Frontend]:
        """Everything that the kernel may have to know: each service port with its virtual addresses, a headless
        service's with its endpoints' addresses. Hosts without any (ServiceEntries whose clients use the world's DNS)
        come with every address where the protocol tells names, as Istio's listeners do, else with those that `resolved`
        has. Where unknown destinations may not pass, all networks come last."""
        by_name: dict[int, Frontend] = {}
        for listed in self._listing.hosts(self.tables, self._changes, self._list).values():
            yield from listed.frontends
            for frontend in listed.unaddressed:
                assert frontend.service is not None
                if frontend.protocol in TELL_NAMES:
                    if frontend.mode is Mode.PROXY:
                        by_name.setdefault(frontend.port, frontend)
                elif resolved and frontend.service.host in resolved:
                    yield replace(frontend, addresses=resolved[frontend.service.host])
        for frontend in by_name.values():
            yield replace(frontend, addresses=EVERYWHERE)
            yield loopback_frontend(frontend.port)
        if not self._passes_unknown:
            yield self._nobodys_frontend(EVERYWHERE, ANY_PORT)
            yield loopback_frontend(ANY_PORT)

    def _list(self, host: str) -> Listed:
        lookup = self._lookup()
        service = lookup.imported_service(host)
        reads = lookup.reads
        addressed: list[Frontend] = []
        unaddressed: list[Frontend] = []
        for port in service.ports if service is not None else ():
            assert service is not None
            if not self.scope.sees(service.namespace, service.host, port.number):
                continue
            frontend = self._service_frontend(service, port.number)
            known = self._service_frontends.get((service.host, port.number))
            assert known is not None
            reads += known[1]
            if service.addresses:
                addressed.append(frontend)
            elif service.resolution is Resolution.HEADLESS:
                addressed.extend(self._headless_frontends(service, port))
            else:
                unaddressed.append(frontend)
            if service.allocated:
                addressed.append(allocated_frontend(frontend))
        return Listed(tuple(addressed), tuple(unaddressed), self._read_sets.of(reads))

    def _headless_frontends(self, service: Service, port: ServicePort) -> Iterator[Frontend]:
        addresses: dict[int, dict[str, None]] = {}
        for endpoint in service.endpoints.get(port.number, ()):
            addresses.setdefault(endpoint.port, {})[endpoint.address] = None
        for number, found in addresses.items():
            yield self._endpoint_frontend(service, port.number, tuple(found), number)

    # === HTTP

    def http(self, frontend: Frontend, request: Request) -> Decision:
        """The decision for one request that came by `frontend`."""
        return self.virtual_host(frontend, request.authority).decide(request)

    def virtual_host(self, frontend: Frontend, authority: bytes) -> VirtualHost:
        """The rules for a Host header. On a port of undeclared protocol the dialled service decides, whatever the Host
        says, as in Istio."""
        port = frontend.logical_port
        service = frontend.service
        if service is not None and frontend.protocol is Protocol.AUTO:
            of_service = self._by_service.get((port, service.host))
            if of_service is None:
                current = self._current(service, port)
                of_service = self._service_host(current, port) if current is not None else self._unknown_host
                self._by_service[(port, service.host)] = of_service
            return of_service
        found = self._by_authority.get((port, authority))
        if found is None:
            if len(self._by_authority) >= MAX_REMEMBERED:
                self._by_authority.clear()
            found = self._find_host(strip_port(authority.decode("latin-1")), port)
            self._by_authority[(port, authority)] = found
        return found

    def _current(self, service: Service, port: int) -> Service | None:
        """The service as it is in these tables: a connection may bring a frontend from before a change."""
        current = self._lookup().imported_service(service.host, port)
        return current if current is not None and current.port(port) is not None else None

    def _find_host(self, name: str, port: int) -> VirtualHost:
        lookup = self._lookup()
        service = lookup.named_service(name, port)
        if service is not None:
            return self._service_host(service, port)
        if port == UNREGISTERED_PORT:
            unregistered = self._unregistered_host(name, port)
            if unregistered is not None:
                return unregistered
        return self._unknown_host

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
            otherwise: Decision = not_found(virtual_service.key)
        else:
            otherwise = builder.service_route(service, port)
        return self._virtual_hosts.keep(key, VirtualHost(service.host, rows, otherwise), lookup.reads)

    def _unregistered_host(self, name: str, port: int) -> VirtualHost | None:
        """A VirtualService for a host that no service has."""
        key = (name, -port)
        known = self._virtual_hosts.get(key)
        if known is not None:
            return known[0]
        builder = self.builder()
        lookup = builder.lookup
        virtual_service = lookup.virtual_service(name)
        if virtual_service is None:
            return None
        rows = builder.http_rows(virtual_service, port)
        if not rows:
            return None
        return self._virtual_hosts.keep(key, VirtualHost(name, rows, not_found(virtual_service.key)), lookup.reads)

    # === gateways

    @property
    def gateway(self) -> GatewayRoutes:
        """What this workload answers as a gateway."""
        if self._gateways is None:
            self._gateways = GatewayRoutes(self.tables, self.client, self.scope, self._clusters, self._gateways_before)
            self._gateways_before = None
        return self._gateways

    def servers(self) -> tuple[GatewayServer, ...]:
        """The ports that a gateway workload listens on, with their protocols, TLS settings and hosts."""
        return self.gateway.servers

    def gateway_protocol(self, port: int) -> Protocol | None:
        """What is spoken on a gateway's port (several TLS servers share one); None: no server is there."""
        return next((server.protocol for server in self.gateway.servers if server.port == port), None)

    def gateway_server(self, port: int, sni: str = "") -> GatewayServer | None:
        """The server for a connection to a gateway's port; None: nobody answers there, or not for that name."""
        return self.gateway.server(port, sni)

    def http_gateway(self, port: int, request: Request, sni: str = "") -> Decision:
        """The decision for a request that came to a gateway's port, over TLS with that server name or in plain."""
        return self.gateway.http(port, request, sni)

    def tls_gateway(self, port: int, sni: str) -> Decision:
        """The decision for a TLS connection that does not end at the gateway."""
        return self.gateway.tls(port, sni)

    def tcp_gateway(self, port: int, sni: str = "") -> Decision:
        """The decision for an opaque connection, in plain or (with its server name) behind TLS that ends here."""
        return self.gateway.tcp(port, sni)

    # === connections

    def tls(self, frontend: Frontend, sni: str, address: str = "") -> Decision:
        """The decision for a TLS connection, by the server name that its ClientHello asks for (empty: none); `address`
        is the dialled one, where the frontend has several."""
        port = frontend.logical_port
        name = strip_port(sni)
        service = self._current(frontend.service, port) if frontend.service is not None else None
        if frontend.service is None and name:
            service = self._lookup().named_service(name, port)
        if service is None:
            return self._unknown
        return self._connection_rules(service, port, self._lookup()).tls(name, address or dialled(frontend))

    def tcp(self, frontend: Frontend, address: str = "") -> Decision:
        """The decision for a connection of unknown or opaque protocol; `address` as in `tls`."""
        if frontend.service is None:
            return self._unknown
        key = (frontend.service.host, frontend.logical_port)
        rules = self._by_host.get(key)
        if rules is None:
            service = self._current(frontend.service, frontend.logical_port)
            if service is None:
                return self._unknown
            rules = self._by_host[key] = self._connection_rules(service, frontend.logical_port, self._lookup())
        return rules.tcp(address or dialled(frontend))

    def _connection_rules(self, service: Service, port: int, lookup: Lookup) -> ConnectionRules:
        """What was read goes down in `lookup` too."""
        key = (service.host, port)
        known = self._connections.get(key)
        if known is None:
            builder = self.builder()
            virtual_service = builder.lookup.virtual_service(service.host)
            default = builder.service_route(service, port)
            rules = connection_rules(builder, virtual_service, port, default)
            known = rules, builder.lookup.reads
            self._connections.keep(key, *known)
        lookup.reads.extend(known[1])
        return known[0]


def loopback_frontend(port: int) -> Frontend:
    """What stays inside a pod passes."""
    return Frontend(
        addresses=LOOPBACK,
        port=port,
        protocol=Protocol.TCP,
        mode=Mode.PASS,
        mode_reason="a pod's loopback is its own",
    )


def dialled(frontend: Frontend) -> str:
    return frontend.addresses[0] if frontend.addresses else ""


def not_found(virtual_service: str) -> Failure:

    return Failure(rule=Rule(virtual_service=virtual_service), reason=Reason.ROUTE_NOT_FOUND, status=404)


#: All that rules may look at in a client.
ClientKey = tuple[str, tuple[tuple[str, str], ...], Locality, str, str, bool]


class Views:
    """The views of one version of the tables; those of the version before hand on what still holds."""

    def __init__(self, tables: Tables, previous: Views | None = None) -> None:
        self.tables = tables
        self.version = tables.version
        self._index: EndpointIndex = previous._index if previous is not None else EndpointIndex()
        self._index.update(tables.services)  # shared with the views before, which look up services of their own tables
        self._read_sets: ReadSets = previous._read_sets if previous is not None else ReadSets()
        self._read_sets.trim(SETS_PER_HOST * len(tables.services))
        self._changes = Changes(tables)
        self._resolved: dict[str, tuple[str, ...]] = previous._resolved if previous is not None else {}
        self._views: dict[ClientKey, View] = {}
        self._before: dict[ClientKey, View] = dict(previous._views) if previous is not None else {}

    def set_resolved(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """The addresses that hosts have in the DNS, by host, for those without addresses of their own."""
        self._resolved.clear()
        for host, found in addresses.items():
            for address in found:
                self._resolved[address] = (*self._resolved.get(address, ()), host)
        for view in self._views.values():
            view.forget_addresses()

    def for_client(self, client: Client) -> View:
        """The view of a client; clients that no rule tells apart share one."""
        labels = {key: value for key, value in client.labels.items() if key in self.tables.client_labels}
        if client.gateway:
            labels = dict(client.labels)
        node = client.node if self.tables.client_nodes else ""
        key = (
            client.namespace,
            tuple(sorted(labels.items())),
            client.locality,
            node,
            client.network,
            client.gateway,
        )
        view = self._views.get(key)
        if view is None:
            previous = self._before.pop(key, None)
            view = View(self.tables, client, self._index, self._read_sets, self._changes, self._resolved, previous)
            self._views[key] = view
        return view
