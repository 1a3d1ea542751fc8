"""The reverse index: which service ports an endpoint's own address and port stand behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..registry.snapshot import Service
from .networks import is_elsewhere

#: Host and service port.
Backing = tuple[str, int]


class EndpointIndex:
    """Kept up to date from one version of the services to the next, but not before it is asked: many a process never
    sees an endpoint dialled. Addresses of another network mean something else here."""

    __slots__ = ("_backings", "_network", "_services", "_wanted", "_wanted_network")

    def __init__(self) -> None:
        self._network = self._wanted_network = ""
        self._services: Mapping[str, tuple[Service, ...]] = {}
        self._wanted: Mapping[str, tuple[Service, ...]] = {}
        self._backings: dict[tuple[str, int], tuple[Backing, ...]] = {}

    def find(self, address: str, port: int) -> tuple[Backing, ...]:
        if self._network != self._wanted_network:
            self._network, self._services, self._backings = self._wanted_network, {}, {}
        if self._services is not self._wanted:
            self._catch_up(self._wanted)
        return self._backings.get((address, port), ())

    def update(self, services: Mapping[str, tuple[Service, ...]], network: str = "") -> None:
        """`network` is the own cluster's."""
        self._wanted = services
        self._wanted_network = network

    def _catch_up(self, services: Mapping[str, tuple[Service, ...]]) -> None:
        before = self._services
        for host, now in services.items():
            held = before.get(host)
            if held is not now:
                self._replace(host, held or (), now)
        for host, held in before.items():
            if host not in services:
                self._replace(host, held, ())
        self._services = services

    def _replace(self, host: str, before: tuple[Service, ...], now: tuple[Service, ...]) -> None:
        backings = self._backings
        old, new = set(pairs(before, self._network)), set(pairs(now, self._network))
        for place, port in old - new:
            kept = tuple(entry for entry in backings.get(place, ()) if entry != (host, port))
            if kept:
                backings[place] = kept
            else:
                backings.pop(place, None)
        for place, port in new - old:
            backings[place] = tuple(sorted({*backings.get(place, ()), (host, port)}))


def pairs(services: Iterable[Service], network: str) -> Iterable[tuple[tuple[str, int], int]]:
    for service in services:
        for port, endpoints in service.endpoints.items():
            for endpoint in endpoints:
                if is_elsewhere(endpoint, network):
                    continue
                yield (endpoint.address, endpoint.port), port
