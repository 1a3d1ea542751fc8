"""Services that are not calm: while an endpoint of theirs comes, leaves or fails, the proxy has their new connections,
for it tries another endpoint where the kernel cannot. Pure; seconds of the caller's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..registry.changed import changed_keys
from ..registry.snapshot import Endpoint, Health, Service

#: Seconds without any such thing after which a service is calm again.
CALM = 10.0

#: Connects that fail again and again keep it away for longer each time, up to this.
LONGEST = 300.0

#: Seconds that a pod which has been made may take to become an endpoint, before nobody expects it any more: images take
#: their time. Each that came to nothing, made again and again by a controller, halves it for the next one of its hosts,
#: down to CALM.
AWAITED = 300.0

#: So often it is halved at most.
MOST_VAIN = 10

#: The hosts of a snapshot, each with the services that declare it.
Services = Mapping[str, tuple[Service, ...]]


class Unrest(NamedTuple):
    """Why a host is not calm, and until when; `times` failures in a row have led to it."""

    why: str
    until: float
    times: int = 0


class Awaited(NamedTuple):
    """The hosts that a pod is to stand behind, and until when it is awaited."""

    hosts: frozenset[str]
    until: float


class Calm:
    """Which hosts are not calm. Fed with every snapshot's services, with failed connects, and with the pods that come
    and go before the services say so."""

    def __init__(self) -> None:
        self._services: Services = {}
        self._unrest: dict[str, Unrest] = {}
        self._leaving: dict[str, str] = {}  # hosts with an endpoint that is about to go: why they are not calm
        self._awaited: dict[str, Awaited] = {}  # by pod
        self._vain: dict[str, int] = {}  # by host: how many pods in a row came to nothing

    def see(self, services: Services, now: float) -> None:
        """What there is from now on. What was there first has no history, and is calm."""
        before, self._services = self._services, services
        for host in changed_keys(services, before):
            if host not in services:
                self._unrest.pop(host, None)
                self._leaving.pop(host, None)
                self._vain.pop(host, None)
                continue
            found = list(endpoints_of(services[host]))
            leaving = next((end for end in found if end.health is Health.DRAINING), None)
            if leaving is not None:
                self._leaving[host] = f"its endpoint {named(leaving)} leaves"
            else:
                self._leaving.pop(host, None)
            for end in found:
                if end.health is Health.READY and (come := self._awaited.pop(end.workload, None)) is not None:
                    for each in come.hosts:
                        self._vain.pop(each, None)
            if host in before and (why := difference(list(endpoints_of(before[host])), found)):
                self._stir(host, why, now)

    def starts(self, pod: str, hosts: Iterable[str], now: float) -> None:
        """A pod is made for these hosts: a rollout has begun, and the first old one may be ended the moment it is
        ready, before any service says so."""
        hosts = frozenset(hosts)
        vain = max((self._vain.get(host, 0) for host in hosts), default=0)
        self._awaited[pod] = Awaited(hosts, now + max(CALM, AWAITED / 2 ** min(vain, MOST_VAIN)))

    def ends(self, pod: str, hosts: Iterable[str], now: float) -> None:
        """A pod behind these hosts is about to go, or is gone."""
        self._give_up(pod)
        for host in hosts:
            self._stir(host, f"its pod {pod} leaves", now)

    def failed(self, host: str, address: str, now: float) -> None:
        """A connect to an endpoint was refused, or came to nothing."""
        known = self._unrest.get(host)
        times = known.times + 1 if known is not None and known.times else 1
        if known is not None and known.times and now < known.until:
            return  # sent before the proxy had them
        self._unrest[host] = Unrest(f"connects to {address} fail", now + min(CALM * times, LONGEST), times)

    def reasons(self, now: float) -> dict[str, str]:
        """The hosts that are not calm, each with the reason."""
        for host, unrest in list(self._unrest.items()):
            # Failures are remembered for as long again: the count goes on for one that still fails.
            kept = unrest.until + min(CALM * unrest.times, LONGEST)
            if now >= kept:
                del self._unrest[host]
        for pod in [pod for pod, one in self._awaited.items() if now >= one.until]:
            self._give_up(pod)
        starting = {host: f"its pod {pod} starts" for pod, one in self._awaited.items() for host in one.hosts}
        found = {host: unrest.why for host, unrest in self._unrest.items() if now < unrest.until}
        return {**starting, **found, **self._leaving}

    def _give_up(self, pod: str) -> None:
        """It goes, or time is up, and it never was ready."""
        awaited = self._awaited.pop(pod, None)
        for host in awaited.hosts if awaited is not None else ():
            if host in self._services:
                self._vain[host] = min(self._vain.get(host, 0) + 1, MOST_VAIN)

    def _stir(self, host: str, why: str, now: float) -> None:
        known = self._unrest.get(host)
        if known is None or known.until < now + CALM:
            self._unrest[host] = Unrest(why, now + CALM, known.times if known is not None else 0)


def endpoints_of(services: Iterable[Service]) -> Iterator[Endpoint]:
    for service in services:
        for endpoints in service.endpoints.values():
            yield from endpoints


def difference(before: Iterable[Endpoint], after: Iterable[Endpoint]) -> str:
    """What has become of the endpoints, as a sentence about the first that differs; empty where nothing has. One that
    comes counts: a rollout begins with it, and the first old one is ended a moment after."""
    then = {(end.address, end.port): end for end in before}
    now = {(end.address, end.port): end for end in after}
    for key, end in then.items():
        other = now.get(key)
        if other is None or (other.health is not end.health and other.health is not Health.READY):
            return f"its endpoint {named(end)} has left"
    for key, end in now.items():
        if key not in then or then[key].health is not end.health:
            return f"its endpoint {named(end)} has come"
    return ""


def named(endpoint: Endpoint) -> str:
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return f"{address}:{endpoint.port}" + (f" ({endpoint.workload})" if endpoint.workload else "")
