"""DNS for the mesh: the addresses of endpoints that are known by name (ServiceEntries with DNS resolution)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from ..registry.changed import changed_keys
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Resolution, Service, Snapshot
from .logs import Log

log = Log("control")

#: Seconds until a name that failed is tried again (Envoy's default `dns_refresh_rate`).
RETRY = 5.0

#: The bounds of a record's time to live, in seconds, within which it is heeded.
SHORTEST, LONGEST = 1.0, 300.0

#: Names of one namespace that are looked up at the same time: those of others do not wait for slow servers.
CONCURRENCY = 8

#: Addresses of one name; its servers may be a tenant's, and every worker has them all.
MOST = 256

#: Seconds for one name.
TIMEOUT = 5.0

HOSTS = Path("/etc/hosts")

Addresses = dict[str, tuple[str, ...]]


class LookupResult(NamedTuple):
    """A name's addresses, and for how many seconds they hold."""

    addresses: tuple[str, ...]
    ttl: float


Lookup = Callable[[str], Awaitable[LookupResult]]

_BY_NAME = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})


async def dns_lookup(name: str) -> LookupResult:
    """What this machine's hosts file has, else what its name servers say: IPv4, or IPv6 where there is no other
    (Envoy's V4_PREFERRED). Raises OSError."""
    known = in_hosts(name, HOSTS.read_text(errors="replace") if HOSTS.exists() else "")
    if known:
        return LookupResult(known, RETRY)
    import dns.asyncresolver  # takes a while, and most meshes have no name to look up
    import dns.exception

    try:
        resolver = dns.asyncresolver.Resolver()  # reads resolv.conf, as it is now
        for kind in ("A", "AAAA"):
            search = "." not in name
            answer = await resolver.resolve(name, kind, search=search, raise_on_no_answer=False, lifetime=TIMEOUT)
            if answer.rrset:
                return LookupResult(tuple(sorted(record.to_text() for record in answer.rrset)), answer.rrset.ttl)
    except dns.exception.DNSException as error:
        raise OSError(str(error)) from None
    raise OSError("the name has no address")


def in_hosts(name: str, text: str) -> tuple[str, ...]:
    """A name's addresses in a hosts file (hosts(5)), IPv4 preferred."""
    found: dict[int, dict[str, None]] = {4: {}, 6: {}}
    for line in text.splitlines():
        fields = line.partition("#")[0].split()
        if name in fields[1:]:
            try:
                found[ip_address(fields[0]).version][fields[0]] = None
            except ValueError:
                continue
    return tuple(found[4] or found[6])


def names_in(services: Iterable[Service]) -> Iterator[str]:
    """The host names among the endpoints, and hosts that clients dial by the addresses that the world's DNS gives."""
    for service in services:
        if is_dialled_by_name(service):
            yield service.host
        if service.resolution not in _BY_NAME:
            continue
        for endpoints in service.endpoints.values():
            for endpoint in endpoints:
                if is_name(endpoint.address):
                    yield endpoint.address


def is_dialled_by_name(service: Service) -> bool:
    """Whether only its addresses in the DNS tell a ServiceEntry's connections from others."""
    if service.kind != "ServiceEntry" or service.addresses or "*" in service.host:
        return False
    return any(port.protocol not in HTTP_PROTOCOLS | TLS_PROTOCOLS for port in service.ports)


def is_name(address: str) -> bool:
    if address.startswith("unix:"):
        return False
    try:
        ip_address(address)
    except ValueError:
        return True
    return False


class Resolver:
    """Looks names up, and again when their time to live is over; `publish` is called with all of them when anything has
    changed. A name that cannot be looked up any more keeps the addresses it had, as with Envoy."""

    def __init__(self, publish: Callable[[Addresses], None], lookup: Lookup = dns_lookup) -> None:
        self.addresses: Addresses = {}
        self.names: frozenset[str] = frozenset()
        self._services: Mapping[str, tuple[Service, ...]] = {}
        self._by_host: dict[str, dict[str, tuple[str, ...]]] = {}  # what is looked up, by host and namespace
        self._by_namespace: dict[str, set[str]] = {}
        self._found: Addresses = {}  # not published yet
        self._publish = publish
        self._lookup = lookup
        self._due: dict[str, float] = {}  # when each is to be looked up again, by the loop's clock
        self._failing: set[str] = set()
        self._changed = asyncio.Event()

    def want(self, snapshot: Snapshot) -> None:
        """Look up the names of this snapshot from now on, new ones at once."""
        for host in changed_keys(snapshot.services, self._services):
            services = snapshot.services.get(host, ())
            found = {service.namespace: tuple(names_in([service])) for service in services}
            self._by_host[host] = {namespace: names for namespace, names in found.items() if names}
            if not self._by_host[host]:
                del self._by_host[host]
        self._services = snapshot.services
        by_namespace: dict[str, set[str]] = {}
        for wanted in self._by_host.values():
            for namespace, found_names in wanted.items():
                by_namespace.setdefault(namespace, set()).update(found_names)
        names = frozenset(name for wanted_names in by_namespace.values() for name in wanted_names)
        if by_namespace != self._by_namespace:
            self._changed.set()
        self.names, self._by_namespace = names, by_namespace

    async def run(self) -> None:
        """Until cancelled. Each namespace's names are looked up beside those of the others."""
        loop = asyncio.get_running_loop()
        rounds: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                self._settle()
                now = soonest = loop.time()
                soonest += LONGEST
                rounds = {namespace: task for namespace, task in rounds.items() if not task.done()}
                for namespace, names in self._by_namespace.items():
                    if namespace in rounds:
                        continue  # its end wakes us
                    due = [name for name in names if self._due.get(name, 0.0) <= now]
                    if due:
                        rounds[namespace] = group.create_task(self._look_up(due), name=f"names of {namespace}")
                        rounds[namespace].add_done_callback(lambda _: self._changed.set())
                    else:
                        soonest = min(soonest, *(self._due[name] for name in names))
                with suppress(TimeoutError):
                    async with asyncio.timeout(soonest - now):
                        await self._changed.wait()

    async def refresh(self, names: Collection[str]) -> None:
        """Look these names up, and forget those that nobody wants any more."""
        await self._look_up(names)
        self._settle()

    async def _look_up(self, names: Collection[str]) -> None:
        limit = asyncio.Semaphore(CONCURRENCY)
        found = await asyncio.gather(*(self._one(name, limit) for name in names))
        self._found |= dict(zip(names, found, strict=True))

    def _settle(self) -> None:
        """Publish what has been found, if it is anything new."""
        known = {**self.addresses, **self._found}
        self._found = {}
        addresses = {name: known[name] for name in sorted(self.names) if known.get(name)}
        self._due = {name: due for name, due in self._due.items() if name in self.names}
        self._failing &= self.names
        if addresses != self.addresses:
            self.addresses = addresses
            self._publish(addresses)

    async def _one(self, name: str, limit: asyncio.Semaphore) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        async with limit:
            try:
                async with asyncio.timeout(TIMEOUT):
                    found = await self._lookup(name)
            except (OSError, UnicodeError, TimeoutError) as error:
                self._due[name] = loop.time() + RETRY
                if name not in self._failing:
                    self._failing.add(name)
                    log.warning("name not resolved", name=name, why=error)
                return self.addresses.get(name, ())
        self._failing.discard(name)
        self._due[name] = loop.time() + min(max(found.ttl, SHORTEST), LONGEST)
        return found.addresses[:MOST]
