"""What one client finds in the tables: services, VirtualServices and DestinationRules that are visible to it.

A Lookup notes every value that it reads. What is made from them holds as long as later tables have the very same
values in these places; that is how views survive changes that do not concern them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..bounded import Bounded
from ..config.meshconfig import HostOwnership
from ..registry.services import selects
from ..registry.snapshot import HTTP_PROTOCOLS, Protocol, Service
from .client import Client
from .decision import UpstreamTls
from .gatewayapi.backend_tls import tls_for, with_pair
from .gatewayapi.rules import BackendTraffic, MeshRoute, ResolvedRoute, ServedListener
from .names import MESH_GATEWAY, covers, expand_alias, is_visible
from .ownership import is_commons, is_taken, may_declare, may_speak_for, speaks_for_commons
from .scope import Scope
from .tables import DestinationRule, Tables, VirtualService
from .wildcards import wildcards_of

#: The port on which VirtualServices for hosts outside the registry apply, as in Istio.
UNREGISTERED_PORT = 80

#: How many aliases may lead from one to the next.
MAX_ALIASES = 8

MAY_BE_HTTP = HTTP_PROTOCOLS | {Protocol.AUTO}

#: One value that was read: the attribute of the tables, the key in it (None: the attribute itself), the value.
Read = tuple[str, str | None, object]


#: By wildcard, port and whether HTTP is spoken: whether there is such a service, and what was read to find that out.
ServicesUnder = Bounded[tuple[str, int, bool], tuple[bool, list[Read]]]


def services_under() -> ServicesUnder:
    return Bounded(1024)


class Lookup:
    __slots__ = ("_under", "client", "gateways", "listener", "reads", "scope", "tables")

    def __init__(
        self,
        tables: Tables,
        client: Client,
        scope: Scope,
        gateways: tuple[str, ...] = (MESH_GATEWAY,),
        listener: tuple[str, ServedListener] | None = None,
        under: ServicesUnder | None = None,
    ) -> None:
        self.tables = tables
        self.client = client
        self.scope = scope
        self.gateways = gateways
        self.listener = listener  # of the Gateway API, by its key in the tables
        self.reads: list[Read] = []
        self._under = under if under is not None else services_under()

    def service(self, host: str) -> Service | None:
        """The service of that host which the client means; for an alias what it leads to. One that leads back to itself
        is nobody's, as in the DNS."""
        service = self.declared_service(host)
        hops = 0
        while service is not None and service.alias_of:
            hops += 1
            service = self.declared_service(service.alias_of) if hops <= MAX_ALIASES else None
        return service

    def declared_service(self, host: str) -> Service | None:
        """The service of that host, an alias as it is: of the client's own namespace, else the first by precedence."""
        candidates = self.tables.services.get(host)
        self.reads.append(("services", host, candidates))
        if candidates is None:
            return None
        namespace = self.client.namespace
        chosen: Service | None = None
        for service in candidates:
            if not is_visible(service.export_to, namespace) or not may_declare(self.tables, service, namespace):
                continue
            if service.namespace == namespace:
                return service
            chosen = chosen or service
        return chosen

    def imported_service(self, host: str, port: int = 0) -> Service | None:
        """The same, if the client's Sidecar imports it."""
        service = self.service(host)
        if service is None or not self.scope.sees(service.namespace, service.host, port):
            return None
        if service.host != host and not self.scope.sees(service.namespace, host, port):
            return None  # an alias has to be imported beside its target
        return service

    def is_shadowed(self, service: Service) -> bool:
        """Whether other clients may mean another service by the same host."""
        candidates = self.tables.services.get(service.host, ())
        return bool(candidates) and candidates[0] is not service

    def named_service(self, name: str, port: int) -> Service | None:
        """The service with that port which a Host, SNI or dialled name means: full name, alias, virtual address, a name
        under a headless service, or the most specific wildcard."""
        return self._first_of(name, self._meanings(name), port) or self.wildcard_service(name, port)

    def exact_service(self, name: str, port: int) -> Service | None:
        """The same without the wildcards."""
        return self._first_of(name, self._meanings(name), port)

    def alias_rules(self, name: str, port: int) -> VirtualService | None:
        """The VirtualService of an alias's own, which comes before its target's where it has that port (and on that of
        hosts outside of the registry)."""
        for host in (name, expand_alias(name, self.client.namespace, self.tables.mesh.cluster_domain)):
            declared = self.declared_service(host) if host is not None else None
            if declared is not None and declared.alias_of:
                own = declared.port(port)
                if port == UNREGISTERED_PORT or (own is not None and own.protocol in MAY_BE_HTTP):
                    return self.virtual_service(declared.host)
        return None

    def wildcard_service(self, name: str, port: int) -> Service | None:
        """The service with the most specific wildcard that covers the name."""
        wildcards = self.tables.wildcard_services
        self.reads.append(("wildcard_services", None, wildcards))
        return self._first_of(name, wildcards_of(wildcards).covering(name), port)

    def _first_of(self, name: str, hosts: Iterable[str], port: int) -> Service | None:
        for host in hosts:
            service = self.imported_service(host, port)
            if service is not None and service.port(port) is not None and not self._is_taken(name, service):
                return service
        return None

    def _is_taken(self, name: str, service: Service) -> bool:
        """Whether a service is named by an address that is not its own to claim."""
        if name not in self.tables.addresses:
            return False
        self.reads.append(("owned", None, self.tables.owned))
        if is_commons(self.tables, name) and not speaks_for_commons(self.tables, service, self.client.namespace):
            return True
        return is_taken(self.tables, name, service)

    def _meanings(self, name: str) -> Iterator[str]:
        yield name
        domain = self.tables.mesh.cluster_domain
        alias = expand_alias(name, self.client.namespace, domain)
        if alias is not None:
            yield alias
        hosts = self.tables.addresses.get(name)
        self.reads.append(("addresses", name, hosts))
        yield from hosts or ()
        first, _, parent = name.partition(".")
        if first and parent:  # pod-0.service.namespace.svc…: a StatefulSet's pod under its headless service
            parent_alias = expand_alias(parent, self.client.namespace, domain)
            for host in (parent, parent_alias):
                if host is not None and self._is_headless(host):
                    yield host

    def _is_headless(self, host: str) -> bool:
        service = self.service(host)
        return service is not None and service.kind == "Service" and not service.addresses

    def virtual_service(self, host: str) -> VirtualService | None:
        """The VirtualService that applies to a host: the most specific host first; of several with the same one those
        meant for the client alone, those exported to its namespace by name, then the oldest."""
        for key in self.virtual_service_keys(host):
            return self.tables.virtual_services[key]
        return None

    def virtual_service_keys(self, host: str) -> Iterator[str]:
        """All that apply, the winner first."""
        for pattern in self._virtual_hosts(host):
            yield from self._keys_at(pattern, host)

    def connection_keys(self, host: str) -> list[str]:
        """The VirtualServices whose rules for connections count for a service: all that share a name with it, in their
        order (Istio's getConfigsForHost)."""
        patterns = [*self._virtual_hosts(host)]
        if host.startswith("*"):
            held = self.tables.virtual_hosts
            self.reads.append(("virtual_hosts", None, held))
            patterns += [pattern for pattern in held if pattern != host and covers(host, pattern)]
        keys = {key for pattern in patterns for key in self._keys_at(pattern, host)}
        return sorted(keys, key=self._order)

    def _order(self, key: str) -> tuple[int, float, str]:
        virtual_service = self.tables.virtual_services[key]
        return self._remoteness(virtual_service), virtual_service.created, key

    def _virtual_hosts(self, host: str) -> Iterator[str]:
        """The hosts of VirtualServices that cover one, the most specific first."""
        wildcards = self.tables.wildcard_virtual_hosts
        self.reads.append(("wildcard_virtual_hosts", None, wildcards))
        yield host
        for pattern in wildcards_of(wildcards).covering(host):
            if pattern != host:
                yield pattern

    def _keys_at(self, pattern: str, host: str) -> list[str]:
        """The VirtualServices of a host that have this very pattern and apply, the winner first."""
        tables = self.tables
        keys = tables.virtual_hosts.get(pattern)
        self.reads.append(("virtual_hosts", pattern, keys))
        found: list[tuple[int, str]] = []
        for key in keys or ():
            virtual_service = tables.virtual_services[key]
            self.reads.append(("virtual_services", key, virtual_service))
            if self._applies(virtual_service, host):
                found.append((self._remoteness(virtual_service), key))
        found.sort(key=lambda entry: entry[0])  # stable: the oldest first
        return [key for _, key in found]

    def _applies(self, virtual_service: VirtualService, host: str) -> bool:
        if self.tables.mesh.host_ownership is HostOwnership.NAMESPACE:
            owner = self._owner(host)
            if owner and not may_speak_for(self.tables, virtual_service.namespace, owner, self.client.namespace):
                return False
        return (
            is_visible(virtual_service.export_to, self.client.namespace)
            and self.is_bound(virtual_service)
            and self.scope.imports(virtual_service.namespace, virtual_service.hosts)
        )

    def _owner(self, host: str) -> str:
        """The namespace whose a host is: the Service's, else that of the entry which the client means, be it by a
        wildcard. Who declares it besides is no owner. Empty: nobody's."""
        candidates = self.tables.services.get(host, ())
        meant = next((service for service in candidates if service.kind == "Service"), None)
        meant = meant or self.declared_service(host)
        if meant is None:
            wildcards = self.tables.wildcard_services
            self.reads.append(("wildcard_services", None, wildcards))
            covering = (self.declared_service(pattern) for pattern in wildcards_of(wildcards).covering(host))
            meant = next((service for service in covering if service is not None), None)
        else:
            self.reads.append(("services", host, self.tables.services.get(host)))
        return meant.namespace if meant is not None else ""

    def unregistered(self, name: str, port: int, *, wildcards: bool) -> VirtualService | None:
        """The VirtualService whose rules a name gets that is no service's on this port: it has the name among its hosts
        or (`wildcards`) a wildcard that stands for no service. Such hosts count on port 80, and beside services of the
        VirtualService on their HTTP ports (Istio's separateVSHostsAndServices)."""
        for pattern in self._virtual_hosts(name) if wildcards else (name,):
            if pattern != name and self._service_under(pattern, port):
                continue
            for key in self._keys_at(pattern, name):
                virtual_service = self.tables.virtual_services[key]
                if port == UNREGISTERED_PORT or any(
                    self._service_under(host, port, spoken=True) for host in virtual_service.hosts
                ):
                    return virtual_service
        return None

    def _service_under(self, pattern: str, port: int, *, spoken: bool = False) -> bool:
        """Whether a service with that port (`spoken`: one that may speak HTTP) shares a name with a host. Of a wildcard
        this takes a look at all services, whatever name it is asked for: once."""
        key = (pattern, port, spoken)
        known = self._under.found.get(key) if pattern.startswith("*") else None
        if known is None:
            before = len(self.reads)
            found = self._look_under(pattern, port, spoken)
            self._under.keep(key, (found, self.reads[before:]))
            return found
        self.reads += known[1]
        return known[0]

    def _look_under(self, pattern: str, port: int, spoken: bool) -> bool:
        services = self.tables.services
        hosts: Iterable[str] = (pattern,)
        if pattern.startswith("*"):
            hosts = (host for host in services if covers(pattern, host) or covers(host, pattern))
        for host in hosts:
            service = self.imported_service(host, port)
            spec = service.port(port) if service is not None else None
            if spec is not None and not (spoken and spec.protocol not in MAY_BE_HTTP):
                return True
        if pattern.startswith("*"):
            self.reads.append(("services", None, services))  # any other one may share it
        return False

    def is_bound(self, virtual_service: VirtualService) -> bool:
        """Whether it is for one of the gateways at hand, by itself or in a match of one of its rules."""
        if any(name in self.gateways for name in virtual_service.gateways):
            return True
        return any(
            name in self.gateways
            for rule in virtual_service.http
            for match in rule.route.match
            for name in match.gateways
        )

    def _remoteness(self, virtual_service: VirtualService) -> int:
        if "*" in virtual_service.export_to:
            return 2
        return 0 if virtual_service.export_to == (self.client.namespace,) == (virtual_service.namespace,) else 1

    def mesh_routes(self, service: Service, port: int) -> tuple[MeshRoute, ...]:
        """The Gateway API's routes on a Service's port: those of the client's own namespace where it is another than
        the Service's and has any (consumer routes), else those of the Service's namespace (producer routes)."""
        tables = self.tables
        found = tables.mesh_routes.get(service.host)
        self.reads.append(("mesh_routes", service.host, found))
        if not found:
            return ()
        fitting = [route for route in found if route.port in (0, port)]
        for namespace in (self.client.namespace, service.namespace):
            chosen = tuple(route for route in fitting if route.namespace == namespace)
            if chosen:
                return chosen
        return ()

    def backend_tls(self, service: Service, port: int) -> UpstreamTls | None:
        """How a gateway speaks to a Service's port by a BackendTLSPolicy."""
        if not self.client.gateway:
            return None
        found = self.tables.backend_tls.get(service.host)
        self.reads.append(("backend_tls", service.host, found))
        spec = service.port(port)
        tls = tls_for(found, spec.name if spec is not None else "") if found else None
        if tls is None or self.listener is None:
            return tls
        key, listener = self.listener
        self.reads.append(("listeners", key, listener))
        return with_pair(tls, listener.client_pair)

    def backend_traffic(self, service: Service) -> BackendTraffic | None:
        """What an XBackendTrafficPolicy has for a Service."""
        if service.kind != "Service":
            return None
        found = self.tables.backend_traffic.get(service.host)
        self.reads.append(("backend_traffic", service.host, found))
        return found

    def route(self, key: str) -> ResolvedRoute:
        """One of the tables' routes."""
        found = self.tables.routes[key]
        self.reads.append(("routes", key, found))
        return found

    def destination_rule(self, service: Service) -> DestinationRule | None:
        """Istio's order: the client's namespace, the service's, the root namespace; the first with a rule decides, in
        it the most specific host."""
        client, root = self.client.namespace, self.tables.mesh.root_namespace
        held = self._rules_for(service.host)
        for namespace, private in ((client, client == root), (service.namespace, False), (root, False)) if held else ():
            for rule in held:
                if rule.namespace != namespace or not is_visible(rule.export_to, client):
                    continue
                if private and rule.export_to != (namespace,):  # only rules that are for this namespace alone
                    continue
                if rule.selector and (namespace != client or not selects(rule.selector, self.client.labels)):
                    continue
                return rule
        return None

    def _rules_for(self, host: str) -> list[DestinationRule]:
        """The DestinationRules that are about a host, the most specific first."""
        tables = self.tables
        found: list[DestinationRule] = []
        wildcards = tables.wildcard_destination_rules
        self.reads.append(("wildcard_destination_rules", None, wildcards))
        for pattern in (host, *(entry for entry in wildcards_of(wildcards).covering(host) if entry != host)):
            rules = tables.destination_rules.get(pattern)
            self.reads.append(("destination_rules", pattern, rules))
            found += rules or ()
        return found


def still_holds(reads: list[Read], tables: Tables) -> bool:
    """Whether all that was read is the same, object by object, in other tables."""
    for attribute, key, value in reads:
        held = getattr(tables, attribute)
        if key is not None:
            held = held.get(key)
        if held is not value:
            return False
    return True
