"""Who stands where in a simulated mesh: the pods behind its services, and hosts outside as they are named."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from difflib import get_close_matches

from ..config.validate.common import is_ip
from ..proxy.clock import Clock
from ..registry.snapshot import Endpoint, Resolution, Service
from ..routing.tables import Tables
from .deeds import SeenRequest
from .network import MemoryNetwork, SimServer
from .serving import FakeServer
from .upstream import Station, Upstream

#: Addresses for names of the world outside (RFC 2544's network for tests).
OUTSIDE = "198.18"

BY_NAME = (Resolution.DNS, Resolution.DNS_ROUND_ROBIN, Resolution.DYNAMIC_DNS)


class MeshError(ValueError):
    """The configuration is not good, or there is nothing of that name; the message says what would be right."""


class SimNetwork(MemoryNetwork):
    """The network with a fake upstream at each place. A station stays as it was set up when tables change."""

    def __init__(self, clock: Callable[[], Clock], tls: Callable[[], ssl.SSLContext]) -> None:
        super().__init__()
        self._clock = clock
        self._tls = tls
        self._tables = Tables()
        self.trail: list[SeenRequest] = []  # what upstreams have seen of the calls under way
        self._by_name: dict[str, Station] = {}  # "namespace/pod", or address or host of what is no pod
        self._places: dict[tuple[str, int], Station] = {}
        self._outside: dict[str, Station] = {}

    def settle(self, tables: Tables) -> dict[str, tuple[str, ...]]:
        """Have the pods of these tables; returns the addresses of the names that the mesh looks up."""
        self._tables = tables
        resolved: dict[str, tuple[str, ...]] = {}
        for services in tables.services.values():
            for service in services:
                for endpoints in service.endpoints.values():
                    for endpoint in endpoints:
                        self._place(service, endpoint, resolved)
        return resolved

    def _place(self, service: Service, endpoint: Endpoint, resolved: dict[str, tuple[str, ...]]) -> None:
        if service.resolution in BY_NAME and not is_ip(endpoint.address):
            resolved[endpoint.address] = (self.outside(endpoint.address).address,)
            return
        place = (endpoint.address, endpoint.port)
        name = endpoint.workload or f"{endpoint.address}:{endpoint.port}"
        station = self._by_name.get(name)
        if station is None:
            station = self._by_name[name] = Station(name, endpoint.address, self.trail)
        self._places[place] = station

    def outside(self, name: str) -> Station:
        """A host of the world outside, by its name or address."""
        station = self._outside.get(name)
        if station is None:
            number = len(self._outside)
            address = name if is_ip(name) else f"{OUTSIDE}.{number // 250}.{number % 250 + 1}"
            station = Station(name, address, self.trail)
            self._outside[name] = self._outside[address] = station
        return station

    def server_at(self, address: str, port: int) -> SimServer | None:
        server = self.servers.get((address, port))
        if server is None:
            station = self._places.get((address, port)) or self._outside.get(address)
            if station is None and not is_ip(address) and not address.startswith("unix:"):
                station = self.outside(address)
            if station is None:
                return None
            server = self.servers[address, port] = FakeServer(station, port, self._clock(), self._tls)
        return server

    def name_at(self, place: str) -> str:
        """Who stands at `address:port`."""
        address, _, port = place.rpartition(":")
        station = self._places.get((address.strip("[]"), int(port or 0))) if port.isdigit() else None
        station = station or self._outside.get(address)
        return station.name if station is not None else ""

    def find(self, name: str, subset: str, namespace: str) -> Upstream:
        """A service's pods, those of a subset, one pod, or a host outside. Raises MeshError."""
        services = self._services(name, namespace)
        if services:
            return Upstream(dict.fromkeys(self._behind(services, subset)))
        if subset:
            raise MeshError(f"there is no service {name}{self.meant(name, namespace)}, so it has no subset {subset}")
        for known in (name, f"{namespace}/{name}"):
            if known in self._by_name:
                return Upstream([self._by_name[known]])
        if "." not in name and ":" not in name:
            raise MeshError(f"there is no service and no pod {name}{self.meant(name, namespace)}")
        return Upstream([self.outside(name)])

    def _services(self, name: str, namespace: str) -> tuple[Service, ...]:
        domain = self._tables.mesh.cluster_domain
        for host in (name, f"{name}.svc.{domain}", f"{name}.{domain}", f"{name}.{namespace}.svc.{domain}"):
            found = self._tables.services.get(host)
            if found:
                return found
        return ()

    def _behind(self, services: tuple[Service, ...], subset: str) -> list[Station]:
        labels = self._labels(services[0].host, subset) if subset else {}
        found = []
        for service in services:
            for endpoints in service.endpoints.values():
                for endpoint in endpoints:
                    if not all(endpoint.labels.get(key) == value for key, value in labels.items()):
                        continue
                    station = self._places.get((endpoint.address, endpoint.port))
                    found.append(station or self.outside(endpoint.address))
        if not found and services[0].resolution is Resolution.NONE:
            return [self.outside(services[0].host)]
        if not found:
            behind = f"subset {subset} of {services[0].host}" if subset else services[0].host
            raise MeshError(f"{behind} has no pods; add Pods or an EndpointSlice to the YAML")
        return found

    def _labels(self, host: str, subset: str) -> dict[str, str]:
        rules = self._tables.destination_rules.get(host, ())
        for rule in rules:
            found = rule.subset(subset)
            if found is not None:
                return dict(found.labels)
        known = ", ".join(each.name or "" for rule in rules for each in rule.subsets)
        raise MeshError(f"{host} has no subset {subset}; a DestinationRule gives it {known or 'none'}")

    def meant(self, name: str, namespace: str) -> str:
        """A word about a name that is nobody's."""
        names = {service.name for found in self._tables.services.values() for service in found}
        close = get_close_matches(name.partition(".")[0], sorted(names), 1, 0.6)
        return f" for clients in {namespace}" + (f"; did you mean {close[0]}?" if close else "")
