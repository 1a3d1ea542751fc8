"""The load-balancing algorithms over a fixed list of hosts: round robin, least request, peak EWMA, random.

A balancer is made again whenever the list changes, and starts at a random place, so that workers do not march in step.
Where weights differ or a host is warming up, ROUND_ROBIN and LEAST_REQUEST become a schedule of earliest deadlines
(Envoy's EDF scheduler): each pick moves a host's deadline by 1 / weight, which spreads picks smoothly."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from itertools import accumulate
from random import Random

from ..routing.decision import Algorithm, Warmup
from .host import Host
from .rows import ACTIVE


class Balancer:
    """Base: picks one of its hosts, None if it has none. `key` is a hash, for those that hash."""

    __slots__ = ("hosts",)

    def __init__(self, hosts: Sequence[Host]) -> None:
        self.hosts = list(hosts)

    def pick(self, key: int) -> Host | None:
        raise NotImplementedError


class RoundRobin(Balancer):
    __slots__ = ("next",)

    def __init__(self, hosts: Sequence[Host], rng: Random) -> None:
        super().__init__(hosts)
        self.next = rng.randrange(len(self.hosts)) if self.hosts else 0

    def pick(self, key: int) -> Host | None:
        if not self.hosts:
            return None
        if self.next >= len(self.hosts):
            self.next = 0
        host = self.hosts[self.next]
        self.next += 1
        return host


class LeastRequest(Balancer):
    """The less loaded of two drawn at random (power of two choices)."""

    __slots__ = ("rng",)

    def __init__(self, hosts: Sequence[Host], rng: Random) -> None:
        super().__init__(hosts)
        self.rng = rng

    def pick(self, key: int) -> Host | None:
        hosts = self.hosts
        count = len(hosts)
        if count < 2:
            return hosts[0] if count else None
        draw = self.rng.random
        first = hosts[int(draw() * count)]
        second = hosts[int(draw() * count)]
        return second if first is not second and second.row.total(ACTIVE) < first.row.total(ACTIVE) else first


class PeakEwma(Balancer):
    """The cheaper of two drawn at random, by latency times load (Finagle's Peak EWMA, as Linkerd has it): the latency
    follows what gets worse at once, and what gets better slowly. Weights divide the cost."""

    __slots__ = ("clock", "rng", "warmup")

    def __init__(self, hosts: Sequence[Host], rng: Random, clock: Callable[[], float], warmup: Warmup | None) -> None:
        super().__init__(hosts)
        self.rng = rng
        self.clock = clock
        self.warmup = warmup

    def pick(self, key: int) -> Host | None:
        hosts = self.hosts
        count = len(hosts)
        if count < 2:
            return hosts[0] if count else None
        first = int(self.rng.random() * count)
        second = int(self.rng.random() * (count - 1))
        if second >= first:
            second += 1  # two different ones
        now = self.clock()
        one, other = hosts[first], hosts[second]
        return other if self.cost(other, now) < self.cost(one, now) else one

    def cost(self, host: Host, now: float) -> float:
        weight = float(host.weight)
        if self.warmup is not None:
            weight *= warmth(self.warmup, now - host.ready_since)
        return host.latency_at(now) * (host.load + 1) / weight


class RandomChoice(Balancer):
    """A host drawn at random, in proportion to the weights."""

    __slots__ = ("bounds", "rng")

    def __init__(self, hosts: Sequence[Host], rng: Random) -> None:
        super().__init__(hosts)
        self.rng = rng
        self.bounds = list(accumulate(host.weight for host in self.hosts))

    def pick(self, key: int) -> Host | None:
        if not self.hosts:
            return None
        return self.hosts[bisect_right(self.bounds, int(self.rng.random() * self.bounds[-1]))]


class Schedule(Balancer):
    """Weighted round robin by earliest deadline. `weigh` is asked at each pick, so that weights may move."""

    __slots__ = ("deadlines", "weigh")

    def __init__(self, hosts: Sequence[Host], rng: Random, weigh: Callable[[Host], float]) -> None:
        super().__init__(hosts)
        self.weigh = weigh
        # A random phase per host is a random place in the endless schedule.
        self.deadlines = [(rng.random() / weigh(host), index) for index, host in enumerate(self.hosts)]
        heapify(self.deadlines)

    def pick(self, key: int) -> Host | None:
        if not self.deadlines:
            return None
        deadline, index = self.deadlines[0]
        host = self.hosts[index]
        heapreplace(self.deadlines, (deadline + 1.0 / self.weigh(host), index))
        return host


class Weigher:
    """A host's present weight: its endpoint's, reduced while it warms up and, for LEAST_REQUEST, by its load."""

    __slots__ = ("by_load", "clock", "warmup")

    def __init__(self, clock: Callable[[], float], warmup: Warmup | None, by_load: bool) -> None:
        self.clock = clock
        self.warmup = warmup
        self.by_load = by_load

    def __call__(self, host: Host) -> float:
        weight = float(host.weight)
        if self.warmup is not None:
            weight *= warmth(self.warmup, self.clock() - host.ready_since)
        if self.by_load:
            weight /= host.load + 1
        return weight


def warmth(warmup: Warmup, age: float) -> float:
    """The share of its weight that a host of this age gets: Envoy's slow start,
    max(minimum, (age / window) ^ (1 / aggression))."""
    if age >= warmup.duration:
        return 1.0
    share: float = (max(age, 0.001) / warmup.duration) ** (1.0 / warmup.aggression)
    return max(share, warmup.minimum_percent / 100.0, 0.001)


def uneven(hosts: Sequence[Host]) -> bool:
    return any(host.weight != hosts[0].weight for host in hosts)


def balancer(
    algorithm: Algorithm,
    hosts: Sequence[Host],
    rng: Random,
    clock: Callable[[], float],
    warmup: Warmup | None,
) -> Balancer:
    """The balancer for `hosts`; `warmup` is given only while one of them is warming up."""
    if algorithm is Algorithm.RANDOM:
        return RandomChoice(hosts, rng)
    if algorithm is Algorithm.PEAK_EWMA:
        return PeakEwma(hosts, rng, clock, warmup)
    by_load = algorithm is not Algorithm.ROUND_ROBIN
    if len(hosts) > 1 and (warmup is not None or uneven(hosts)):
        return Schedule(hosts, rng, Weigher(clock, warmup, by_load))
    return LeastRequest(hosts, rng) if by_load else RoundRobin(hosts, rng)
