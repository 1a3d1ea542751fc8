"""What one client finds in the tables: services, VirtualServices and DestinationRules that are visible to it.

A Lookup notes every value that it reads. What is made from them holds as long as later tables have the very same
values in these places; that is how views survive changes that do not concern them."""

from __future__ import annotations

from collections.abc import Iterator

from ..registry.services import selects
from ..registry.snapshot import Service
from .client import Client
from .gatewayapi.rules import MeshRoute, Route
from .names import MESH_GATEWAY, covers, expand_alias, is_visible
from .scope import Scope
from .tables import DestinationRule, Tables, VirtualService

#: One value that was read: the attribute of the tables, the key in it (None: the attribute itself), the value.
Read = tuple[str, str | None, object]


class Lookup:
    __slots__ = ("client", "gateways", "reads", "scope", "tables")

    def __init__(
        self, tables: Tables, client: Client, scope: Scope, gateways: tuple[str, ...] = (MESH_GATEWAY,)
    ) -> None:
        self.tables = tables
        self.client = client
        self.scope = scope
        self.gateways = gateways
        self.reads: list[Read] = []

    def service(self, host: str) -> Service | None:
        """The service of that host which the client means: of its own namespace, else the first by precedence."""
        candidates = self.tables.services.get(host)
        self.reads.append(("services", host, candidates))
        if candidates is None:
            return None
        namespace = self.client.namespace
        chosen: Service | None = None
        for service in candidates:
            if not is_visible(service.export_to, namespace):
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
        return service

    def is_shadowed(self, service: Service) -> bool:
        """Whether other clients may mean another service by the same host."""
        candidates = self.tables.services.get(service.host, ())
        return bool(candidates) and candidates[0] is not service

    def named_service(self, name: str, port: int) -> Service | None:
        """The service with that port which a Host, SNI or dialled name means: full name, alias, virtual address, a name
        under a headless service, or the most specific wildcard."""
        for host in self._meanings(name):
            service = self.imported_service(host, port)
            if service is not None and service.port(port) is not None:
                return service
        return None

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
        self.reads.append(("wildcard_services", None, self.tables.wildcard_services))
        for pattern in self.tables.wildcard_services:
            if covers(pattern, name):
                yield pattern

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
        tables = self.tables
        self.reads.append(("wildcard_virtual_hosts", None, tables.wildcard_virtual_hosts))
        patterns = [host, *(pattern for pattern in tables.wildcard_virtual_hosts if pattern != host)]
        for pattern in patterns:
            if not covers(pattern, host):
                continue
            keys = tables.virtual_hosts.get(pattern)
            self.reads.append(("virtual_hosts", pattern, keys))
            found: list[tuple[int, str]] = []
            for key in keys or ():
                virtual_service = tables.virtual_services[key]
                self.reads.append(("virtual_services", key, virtual_service))
                if self._applies(virtual_service, host):
                    found.append((self._remoteness(virtual_service), key))
            found.sort(key=lambda entry: entry[0])  # stable: the oldest first
            for _, key in found:
                yield key

    def _applies(self, virtual_service: VirtualService, host: str) -> bool:
        return (
            is_visible(virtual_service.export_to, self.client.namespace)
            and self.is_bound(virtual_service)
            and self.scope.sees(virtual_service.namespace, host)
        )

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

    def route(self, key: str) -> Route:
        """One of the tables' routes."""
        found = self.tables.routes[key]
        self.reads.append(("routes", key, found))
        return found

    def destination_rule(self, service: Service) -> DestinationRule | None:
        """Istio's order: the client's namespace, the service's, the root namespace; the first with a rule decides, in
        it the most specific host."""
        client, root = self.client.namespace, self.tables.mesh.root_namespace
        own = self._rule_in(client, service.host, private=client == root)
        if own is not None:
            return own
        for namespace in (service.namespace, root):
            rule = self._rule_in(namespace, service.host, private=False)
            if rule is not None:
                return rule
        return None

    def _rule_in(self, namespace: str, host: str, *, private: bool) -> DestinationRule | None:
        """`private`: only rules that are for this namespace alone."""
        tables = self.tables
        self.reads.append(("wildcard_destination_rules", None, tables.wildcard_destination_rules))
        for pattern in (host, *(entry for entry in tables.wildcard_destination_rules if entry != host)):
            if not covers(pattern, host):
                continue
            rules = tables.destination_rules.get(pattern)
            self.reads.append(("destination_rules", pattern, rules))
            for rule in rules or ():
                if rule.namespace != namespace or not is_visible(rule.export_to, self.client.namespace):
                    continue
                if private and rule.export_to != (namespace,):
                    continue
                if rule.selector and (
                    namespace != self.client.namespace or not selects(rule.selector, self.client.labels)
                ):
                    continue
                return rule
        return None


def still_holds(reads: list[Read], tables: Tables) -> bool:
    """Whether all that was read is the same, object by object, in other tables."""
    for attribute, key, value in reads:
        held = getattr(tables, attribute)
        if key is not None:
            held = held.get(key)
        if held is not value:
            return False
    return True
