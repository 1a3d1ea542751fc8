"""DNS for the mesh: the addresses of endpoints that are known by name (ServiceEntries with DNS resolution)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address

from ..registry.snapshot import Resolution, Snapshot
from .logs import Log

log = Log("control")

#: Envoy's default `dns_refresh_rate`, in seconds.
REFRESH = 5.0

#: Names that are looked up at the same time.
CONCURRENCY = 16

#: Seconds for one name.
TIMEOUT = 5.0

Addresses = dict[str, tuple[str, ...]]
Lookup = Callable[[str], Awaitable[tuple[str, ...]]]

_BY_NAME = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})


async def system_lookup(name: str) -> tuple[str, ...]:
    """The addresses that this machine's resolver gives: IPv4, or IPv6 where there is no other (Envoy's V4_PREFERRED).
    Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    by_family: dict[int, set[str]] = {}
    for family, _, _, _, address in found:
        by_family.setdefault(family, set()).add(str(address[0]))
    return tuple(sorted(by_family.get(socket.AF_INET) or by_family.get(socket.AF_INET6) or ()))


def names_in(snapshot: Snapshot) -> Iterator[str]:
    """The host names among the endpoints."""
    for services in snapshot.services.values():
        for service in services:
            if service.resolution not in _BY_NAME:
                continue
            for endpoints in service.endpoints.values():
                for endpoint in endpoints:
                    if is_name(endpoint.address):
                        yield endpoint.address


def is_name(address: str) -> bool:
    if address.startswith("unix:"):
        return False
    try:
        ip_address(address)
    except ValueError:
        return True
    return False


class Resolver:
    """Looks names up again and again; `publish` is called with all of them when anything has changed. A name that
    cannot be looked up any more keeps the addresses it had, as Envoy does."""

    def __init__(self, publish: Callable[[Addresses], None], lookup: Lookup = system_lookup) -> None:
        self.addresses: Addresses = {}
        self._publish = publish
        self._lookup = lookup
        self._names: set[str] = set()
        self._failing: set[str] = set()
        self._changed = asyncio.Event()

    def want(self, snapshot: Snapshot) -> None:
        """Look up the names of this snapshot from now on, new ones at once."""
        names = set(names_in(snapshot))
        if names - self._names:
            self._changed.set()
        self._names = names

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.refresh()
            try:
                async with asyncio.timeout(REFRESH):
                    await self._changed.wait()
            except TimeoutError:
                continue
            finally:
                self._changed.clear()

    async def refresh(self) -> None:
        """One round over all names."""
        limit = asyncio.Semaphore(CONCURRENCY)
        names = sorted(self._names)
        found = dict(zip(names, await asyncio.gather(*(self._one(name, limit) for name in names)), strict=True))
        addresses = {name: known for name, known in found.items() if known}
        if addresses != self.addresses:
            self.addresses = addresses
            self._publish(addresses)

    async def _one(self, name: str, limit: asyncio.Semaphore) -> tuple[str, ...]:
        async with limit:
            try:
                async with asyncio.timeout(TIMEOUT):
                    found = await self._lookup(name)
            except (OSError, UnicodeError, TimeoutError) as error:
                if name not in self._failing:
                    self._failing.add(name)
                    log.warning("name not resolved", name=name, why=error)
                return self.addresses.get(name, ())
        self._failing.discard(name)
        return found
