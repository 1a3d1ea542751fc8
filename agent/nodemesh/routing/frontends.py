"""What one client can dial, each address made out on first use and kept while its inputs stay the same objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from ..bounded import Bounded
from ..reasons import Reason
from ..registry.addresses import canonical_address
from ..registry.protocols import select_protocol
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol, RegistryPort, Resolution, Service
from .cidrs import cidrs_of
from .connections import ServiceConnections
from .decision import Decision, Failure, Route
from .frontend import Frontend, Mode, allocated_frontend
from .index import EndpointIndex
from .listing import Listed, Listing, ReadSets, TableChanges
from .lookup import Lookup
from .memo import TablesMemo, ValuePool
from .mode import choose_mode, failure_policy_of, http_rules, may_yield
from .names import is_address, strip_port
from .networks import is_elsewhere
from .ownership import ENTRY, is_commons, is_taken, others_in, speaks_for_commons
from .sight import Sight

#: How many different addresses are remembered: they come from outside and may be anything.
MAX_REMEMBERED = 8192

#: Every address, for where unknown ones are not let pass; what stays inside a pod is none of the mesh's business.
EVERYWHERE = ("0.0.0.0/0", "::/0")
LOOPBACK = ("127.0.0.0/8", "::1/128")
ANY_PORT = 0

#: Protocols that say which host is meant, whatever address was dialled.
TELL_NAMES = HTTP_PROTOCOLS | TLS_PROTOCOLS


class Frontends:
    """`unknown` is what becomes of connections to addresses that the registry does not know, `resolved` has the hosts
    by their addresses in the DNS, `changes` tells what differs between versions of the tables."""

    def __init__(
        self,
        sight: Sight,
        connections: ServiceConnections,
        unknown: Decision,
        index: EndpointIndex,
        read_sets: ReadSets,
        changes: TableChanges,
        resolved: Mapping[str, tuple[str, ...]],
        pool: ValuePool[tuple[str, int], Frontend],
        previous: Frontends | None = None,
    ) -> None:
        self._sight = sight
        self._connections = connections
        self._unknown = unknown
        self._index = index
        self._read_sets = read_sets
        self._changes = changes
        self._resolved = resolved
        self._listing: Listing = Listing(previous._listing if previous is not None else None)
        self._by_port: TablesMemo[tuple[str, int], Frontend] = TablesMemo(
            sight.tables, previous._by_port if previous is not None else None, pool
        )
        self._by_address: Bounded[tuple[str, int], Frontend] = Bounded(MAX_REMEMBERED)

    def at(self, address: str, port: int) -> Frontend:
        """The meaning of a dialled address: a service's virtual address, an endpoint's own, or nothing known. A host
        name stands for the service of that name (`--expose`)."""
        key = (address, port)
        found = self._by_address.found.get(key)
        if found is None:
            found = self._by_address.keep(key, self._find(canonical_address(address), port))
        return found

    def forget_addresses(self) -> None:
        """Some may mean something else from now on."""
        self._by_address.found.clear()

    def _find(self, address: str, port: int) -> Frontend:
        lookup = self._sight.lookup()
        for host, in_network in self._hosts_at(address):
            service = lookup.imported_service(host, port)
            if service is None or service.port(port) is None or self._is_taken(address, service, port):
                continue
            if (in_network or is_commons(self._sight.tables, address)) and not self._speaks_for_commons(service):
                continue
            frontend = self._of_service(service, port)
            return allocated_frontend(frontend) if address in service.allocated else frontend
        named = lookup.named_service(strip_port(address), port)
        # Last, but for addresses, which other namespaces may have: a worker has decoded every service once it asks.
        held = self._endpoint_at(address, port) if named is None or is_address(address) else None
        if held is not None:
            return self._of_endpoint(*held, (address,), port)
        if named is not None:
            return self._of_service(named, port)
        return self._of_nobody((address,), port)

    def _endpoint_at(self, address: str, port: int) -> tuple[Service, int] | None:
        """The service, and its port, that an endpoint's own address stands behind: none of another namespace than the
        pod's that has it."""
        lookup = self._sight.lookup()
        for host, service_port in self._index.find(address, port):
            service = lookup.imported_service(host, service_port)
            if service is None or service.port(service_port) is None:
                continue
            if not is_taken(self._sight.tables, address, service):
                return service, service_port
        return None

    def _is_taken(self, address: str, service: Service, port: int) -> bool:
        """Whether a service claims an address that another namespace has: a pod's, a Service's, an endpoint's."""
        if service.kind == ENTRY:
            held = self._endpoint_at(address, port)
            if held is not None and held[0].kind == "Service" and held[0].namespace != service.namespace:
                return True
        return is_taken(self._sight.tables, address, service, port)

    def _own_addresses(self, service: Service, port: int, lookup: Lookup) -> tuple[str, ...]:
        """A service's addresses without those that another namespace has."""
        if not (service.addresses if service.kind == ENTRY else service.external_addresses):
            return service.addresses
        tables = self._sight.tables
        lookup.reads.append(("owned", None, tables.owned))
        wide = self._speaks_for_commons(service)
        return tuple(
            address
            for address in service.addresses
            if (wide or not is_commons(tables, address)) and not is_taken(tables, address, service, port)
        )

    def _speaks_for_commons(self, service: Service) -> bool:
        return speaks_for_commons(self._sight.tables, service, self._sight.client.namespace)

    def _hosts_at(self, address: str) -> Iterator[tuple[str, bool]]:
        """The hosts that an address may mean, each with whether it is but one of a network's."""
        for host in (*self._sight.tables.addresses.get(address, ()), *self._resolved.get(address, ())):
            yield host, False
        networks = self._sight.tables.networks
        if networks:
            for host in cidrs_of(networks).hosts_at(address):
                yield host, True

    def _of_nobody(self, addresses: tuple[str, ...], port: int) -> Frontend:
        """Addresses that the registry does not know."""
        passes = self._passes_unknown
        return Frontend(
            addresses=addresses,
            port=port,
            protocol=select_protocol(port),  # what speaks first on the server's side is not waited for
            mode=Mode.PASS if passes else Mode.PROXY,
            mode_reason="the registry does not know the address"
            if passes
            else f"the registry does not know the address, and outboundTrafficPolicy is {self._unknown_policy}",
            failure_policy=failure_policy_of(None, self._sight.tables.mesh),
        )

    @property
    def _unknown_policy(self) -> str:
        if self._sight.scope.by_host:
            return "ALLOW_ANY_DYNAMIC_DNS"
        return "REGISTRY_ONLY" if isinstance(self._unknown, Failure) else "to send it to an egressProxy"

    @property
    def _passes_unknown(self) -> bool:
        return self._unknown.reason is Reason.PASSTHROUGH and not self._sight.scope.by_host

    def _of_service(self, service: Service, port: int) -> Frontend:
        key = (service.host, port)
        known = self._by_port.get(key)
        if known is not None:
            return known[0]
        builder = self._sight.builder()
        lookup = builder.lookup
        lookup.imported_service(service.host, port)
        spec = service.port(port)
        assert spec is not None
        tcp = self._connections.rules(service, port, lookup).tcp(service.addresses[0] if service.addresses else "")
        mode, reason = choose_mode(service, spec, lookup, tcp)
        if mode is Mode.KERNEL and service.kind == ENTRY:
            lookup.reads.append(("claimed_networks", None, self._sight.tables.claimed_networks))
            others = others_in(self._sight.tables, service)
            if others:  # whose it is, is told address by address
                mode, reason = Mode.PROXY, f"addresses of namespace {others} are in its network"
        frontend = Frontend(
            addresses=self._own_addresses(service, port, lookup),
            port=port,
            protocol=spec.protocol,
            service=service,
            mode=mode,
            mode_reason=reason,
            failure_policy=failure_policy_of(service, self._sight.tables.mesh),
            tcp=tcp if mode is Mode.KERNEL and isinstance(tcp, Route) else None,
            http_rules=http_rules(service, spec, lookup),
            yields=mode is Mode.KERNEL and may_yield(service, self._sight.tables.mesh),
        )
        return self._by_port.keep(key, frontend, lookup.reads)

    def _of_endpoint(self, service: Service, service_port: int, addresses: tuple[str, ...], port: int) -> Frontend:
        """An endpoint dialled by its own address. Only rules bring such a connection to the proxy: it has chosen its
        endpoint already."""
        logical = self._of_service(service, service_port)
        return replace(
            logical,
            addresses=addresses,
            port=port,
            endpoint=True,
            service_port=0 if port == service_port else service_port,
            mode=Mode.PASS if logical.mode is Mode.KERNEL else logical.mode,
            mode_reason="an endpoint was dialled by its own address"
            if logical.mode is Mode.KERNEL
            else logical.mode_reason,
            tcp=None,
        )

    def for_host(self, host: str, port: int) -> Frontend:
        """The meaning of a host that was dialled by name (any alias), or of an address."""
        name = strip_port(host)
        service = self._sight.lookup().named_service(name, port)
        if service is not None:
            frontend = self._of_service(service, port)
            return allocated_frontend(frontend) if service.allocated else frontend
        return self.at(name, port)

    def all(self, resolved: Mapping[str, tuple[str, ...]] | None = None) -> Iterator[Frontend]:
        """Everything that the kernel may have to know: each service port with its virtual addresses, a headless
        service's with its endpoints' addresses. After them, as a dialled address is looked for, come hosts without any
        (ServiceEntries whose clients use the world's DNS): with every address where the protocol tells names, as
        Istio's listeners do, else with those that `resolved` has. Where unknown destinations may not pass, all networks
        come last."""
        listed = self._listing.hosts(self._sight.tables, self._changes, self._list).values()
        addressed = itertools.chain.from_iterable(one.frontends for one in listed)
        return itertools.chain(addressed, self._unaddressed(listed, resolved or {}), self._unknown_addresses())

    def _unaddressed(self, listed: Iterable[Listed], resolved: Mapping[str, tuple[str, ...]]) -> Iterator[Frontend]:
        by_name: dict[int, Frontend] = {}
        for frontend in itertools.chain.from_iterable(one.unaddressed for one in listed):
            assert frontend.service is not None
            if frontend.protocol in TELL_NAMES:
                if frontend.mode is Mode.PROXY:
                    by_name.setdefault(frontend.port, frontend)
            elif frontend.service.host in resolved:
                addresses = resolved[frontend.service.host]
                yield replace(frontend, addresses=self._not_taken(addresses, frontend.service, frontend.port))
        for frontend in by_name.values():
            yield replace(frontend, addresses=EVERYWHERE)
            yield loopback_frontend(frontend.port)

    def _unknown_addresses(self) -> Iterator[Frontend]:
        if not self._passes_unknown:
            yield self._of_nobody(EVERYWHERE, ANY_PORT)
            yield loopback_frontend(ANY_PORT)

    def services(self) -> Iterator[Frontend]:
        """Each service port that the client sees, whether or not anything is known of its addresses."""
        for listed in self._listing.hosts(self._sight.tables, self._changes, self._list).values():
            yield from listed.frontends
            yield from listed.unaddressed

    def _not_taken(self, addresses: tuple[str, ...], service: Service, port: int) -> tuple[str, ...]:
        """A name's addresses in the DNS, without those that other namespaces have: anybody's name may lead to them."""
        speaks, tables = self._speaks_for_commons(service), self._sight.tables
        return tuple(
            address
            for address in addresses
            if (speaks or not is_commons(tables, address)) and not self._is_taken(address, service, port)
        )

    def _list(self, host: str) -> Listed:
        lookup = self._sight.lookup()
        service = lookup.imported_service(host)
        if service is not None and service.host != host:
            service = None  # an alias: its target is listed
        reads = lookup.reads
        addressed: list[Frontend] = []
        unaddressed: list[Frontend] = []
        for port in service.ports if service is not None else ():
            assert service is not None
            if not self._sight.scope.sees(service.namespace, service.host, port.number):
                continue
            frontend = self._of_service(service, port.number)
            known = self._by_port.get((service.host, port.number))
            assert known is not None
            reads += known[1]
            if service.addresses:
                addressed.append(frontend)
            elif service.resolution is Resolution.HEADLESS:
                reads = [*reads, ("owned", None, self._sight.tables.owned)]
                addressed.extend(self._of_headless(service, port))
            else:
                unaddressed.append(frontend)
            if service.allocated:
                addressed.append(allocated_frontend(frontend))
        return Listed(tuple(addressed), tuple(unaddressed), self._read_sets.of(reads))

    def _of_headless(self, service: Service, port: RegistryPort) -> Iterator[Frontend]:
        addresses: dict[int, dict[str, None]] = {}
        tables = self._sight.tables
        for endpoint in service.endpoints.get(port.number, ()):
            if is_elsewhere(endpoint, self._sight.client.network) or is_taken(tables, endpoint.address, service):
                continue
            addresses.setdefault(endpoint.port, {})[endpoint.address] = None
        for number, found in addresses.items():
            yield self._of_endpoint(service, port.number, tuple(found), number)


def loopback_frontend(port: int) -> Frontend:
    """What stays inside a pod passes."""
    return Frontend(
        addresses=LOOPBACK,
        port=port,
        protocol=Protocol.TCP,
        mode=Mode.PASS,
        mode_reason="a pod's loopback is its own",
    )
