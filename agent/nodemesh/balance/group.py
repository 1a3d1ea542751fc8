"""One cluster's endpoints at work: keeps their state across updates and picks one of them for each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import inf
from random import Random
from typing import Final

from msgspec.structs import replace

from ..registry.snapshot import Endpoint, Health
from ..routing.decision import Algorithm, Cluster, LoadBalancer, Warmup
from . import levels
from .algorithms import Balancer, balancer
from .host import Host
from .limits import Limits
from .maglev import Maglev
from .outlier import Detector, Outcome
from .ring import Ring
from .rows import CHANGES, EJECTED_AT, CounterRow, private_row
from .shared import Share

ALL_BITS: Final = 2**64 - 1  # of a hash
STRIDE: Final = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio: five such steps spread over all hashes
REPICKS: Final = 5  # hostSelectionRetryMaxAttempts of Istio's retry policy
PRIORITY_FREQUENCY: Final = 2  # update_frequency of Envoy's previous_priorities
PASSTHROUGH_IDLE: Final = 5.0  # seconds after which an unused dialled address is forgotten (Envoy's cleanup_interval)

HASHING: Final = (Algorithm.RING_HASH, Algorithm.MAGLEV)

Address = tuple[str, int]


def hashing(settings: LoadBalancer, hosts: Sequence[Host], weights: Sequence[float]) -> Balancer:
    if settings.algorithm is Algorithm.MAGLEV:
        return Maglev(hosts, settings.table_size, weights)
    return Ring(hosts, settings.ring_size, weights)


def leave(host: Host) -> None:
    """The host is no endpoint any more: what it still does cannot eject it, and it takes no ejection along."""
    host.member = False
    host.row.set(EJECTED_AT, 0)


class Level:
    """One priority: its hosts, those of them that serve, and the balancers to pick from with their weights."""

    __slots__ = ("balancers", "bounds", "hosts", "serving")

    def __init__(self, hosts: list[Host], serving: list[Host]) -> None:
        self.hosts = hosts
        self.serving = serving
        self.balancers: list[Balancer] = []
        self.bounds: list[float] = []  # cumulated weights of the balancers, where there are several


def level_of(hosts: list[Host], wanted: Health, index: int) -> Level:
    """The hosts of one priority, of which those serve that are as `wanted` and not ejected."""
    for host in hosts:
        host.priority = index
    return Level(hosts, [host for host in hosts if host.endpoint.health is wanted and not host.ejected])


class Group:
    """The balanced group of one cluster in one worker. `clock` counts monotonic seconds; with `shared` what is counted
    counts for all workers of the node (dialled addresses excepted), without it for this one alone.

    The picture of levels and balancers is drawn again when endpoints change, or when any worker of the node ejects a
    host or lets one in."""

    __slots__ = (
        "by_address",
        "changes",
        "clock",
        "cluster",
        "detector",
        "hosts",
        "levels",
        "limits",
        "loads",
        "next_sweep",
        "only",
        "passing",
        "rng",
        "row",
        "shared",
        "stale",
        "sticky",
        "sweep_at",
        "timed",
        "warm_at",
    )

    def __init__(self, cluster: Cluster, clock: Callable[[], float], rng: Random, shared: Share | None = None) -> None:
        self.cluster = cluster
        self.clock = clock
        self.rng = rng
        self.shared = shared
        self.row: CounterRow = (shared.cluster_row(cluster.key) if shared is not None else None) or private_row()
        self.limits = Limits(self.row, clock)
        self.by_address: dict[Address, Host] = {}
        self.passing: dict[Address, Host] = {}  # dialled addresses that are no endpoints
        self.hosts: list[Host] = []
        self.levels: list[Level] = []
        self.loads: list[int] = []
        self.only: Balancer | None = None  # where there is one level with one balancer: nothing else to choose
        self.detector: Detector | None = None
        self.changes = 0
        self.sticky = False  # the key decides
        self.timed = False  # how long hosts take decides, too
        self.stale = True
        self.warm_at = 0.0  # when the last host's warmup ends; 0: none is warming up
        self.sweep_at = inf  # outlier detection's next interval
        self.next_sweep = inf
        self._take(cluster, first=True)

    # --- what the configuration says

    def update(self, cluster: Cluster) -> list[Host]:
        """Take the cluster's new endpoints and policies. Hosts that stay keep their state; those that left are
        returned, for their connections to be drained."""
        before = self.by_address
        self._take(cluster, first=False)
        gone = [host for address, host in before.items() if self.by_address.get(address) is not host]
        for host in gone:
            leave(host)
        return gone

    def retire(self, addresses: frozenset[str]) -> None:
        """Endpoints at these addresses are about to go: the configuration will say so, and counts from then on."""
        for host in self.hosts:
            if host.address in addresses and host.endpoint.health is Health.READY:
                host.endpoint = replace(host.endpoint, health=Health.DRAINING)
                self.stale = True

    def close(self) -> list[Host]:
        """The cluster is gone: give up every host."""
        gone = self.update(replace(self.cluster, endpoints=(), reserve=None, priorities=None))
        gone += self.passing.values()
        self.passing = {}
        self.sweep_at = self.next_sweep = inf
        return gone

    def _take(self, cluster: Cluster, first: bool) -> None:
        now = self.clock()
        known = self.by_address
        self.by_address = {}
        for endpoint in cluster.all_endpoints:
            address = (endpoint.address, endpoint.port)
            if address in self.by_address:
                continue
            host = known.get(address)
            if host is None:
                # Endpoints that were there before this worker looked have warmed up long ago.
                host = Host(endpoint, self._host_row(cluster.key, endpoint), -inf if first else now)
            elif endpoint.health is Health.READY and host.endpoint.health is not Health.READY:
                host.ready_since = now
            host.endpoint = endpoint
            self.by_address[address] = host
        self.hosts = list(self.by_address.values())
        self._watch(cluster, now)
        self.limits.configure(cluster.pool, cluster.retry_budget)
        self.cluster = cluster
        self.sticky = cluster.load_balancer.algorithm in HASHING
        self.timed = cluster.load_balancer.algorithm is Algorithm.PEAK_EWMA
        self.stale = True

    def _host_row(self, key: str, endpoint: Endpoint) -> CounterRow:
        row = self.shared.host_row(key, endpoint.address, endpoint.port) if self.shared is not None else None
        return row or private_row()

    def _watch(self, cluster: Cluster, now: float) -> None:
        """Set outlier detection up, or adapt it to new settings."""
        outlier = cluster.outlier
        if outlier is None:
            if self.detector is not None:
                self.detector.release()
            self.detector = None
            self.sweep_at = inf
        else:
            if self.detector is None or self.detector.settings != outlier:
                self.detector = Detector(outlier, self.hosts, self.clock, self._changed)
                self.sweep_at = now + outlier.interval
            self.detector.hosts = self.hosts
        self._schedule(now)

    def _schedule(self, now: float) -> None:
        idle_at = now + PASSTHROUGH_IDLE if self.passing else inf
        self.next_sweep = min(self.sweep_at, idle_at)

    # --- picking

    def pick(self, key: int | None = None, tried: Sequence[Host] = (), remote: bool = False) -> Host | None:
        """A host for one request, or None where none serves (503, flag UH).

        `key` is the hash of a consistent-hash policy, `tried` the hosts of the earlier attempts of a retried request:
        they are avoided if five further draws find another. A hashing algorithm draws for other keys then, always the
        same ones.
        `remote` says that retries are to leave the priorities that were tried (retryRemoteLocalities)."""
        if (
            self.stale
            or (self.detector is not None and self.row.total(CHANGES) != self.changes)
            or (self.warm_at and self.clock() >= self.warm_at)
        ):
            self._draw()
        if self.sticky and key is None:
            key = self.rng.getrandbits(64)
        if self.only is not None and not tried:
            return self.only.pick(key or 0)
        leave = tried if remote else ()
        host = self._pick(key, leave)
        draw = 0
        while draw < REPICKS and host in tried:
            draw += 1
            host = self._pick(key, leave, draw)
        return host

    def pick_address(self, address: str, port: int) -> Host:
        """The host for an address that the client dialled itself (PASSTHROUGH, headless services, passthrough)."""
        key = (address, port)
        host = self.by_address.get(key) or self.passing.get(key)
        now = self.clock()
        if host is None:
            host = Host(Endpoint(address=address, port=port), private_row(), now)
            host.member = False
            self.passing[key] = host
            self.next_sweep = min(self.next_sweep, now + PASSTHROUGH_IDLE)
        host.used = now
        return host

    def find(self, address: str, port: int) -> Host | None:
        """The host of that address, if it may be used; None: another one is to be picked."""
        host = self.by_address.get((address, port))
        if host is None or host.ejected or host.endpoint.health is Health.UNREADY:
            return None
        return host

    def _pick(self, key: int | None, leave: Sequence[Host], draw: int = 0) -> Host | None:
        point = key or 0
        if draw:
            point = (point + draw * STRIDE) & ALL_BITS
        if self.only is not None:
            return self.only.pick(point)
        level = self._level(key, leave)
        if level is None or not level.balancers:
            return None
        chosen = 0
        if level.bounds:
            roll = self.rng.random() * level.bounds[-1]
            while roll >= level.bounds[chosen]:
                chosen += 1
        return level.balancers[chosen].pick(point)

    def _level(self, key: int | None, leave: Sequence[Host]) -> Level | None:
        if len(self.levels) < 2:
            return self.levels[0] if self.levels else None
        loads = self.loads
        tried = len(leave) // PRIORITY_FREQUENCY * PRIORITY_FREQUENCY
        if tried:
            loads = self._loads_without({host.priority for host in leave[:tried]})
        roll = (self.rng.getrandbits(32) if key is None else key) % 100
        for level, load in zip(self.levels, loads, strict=True):
            roll -= load
            if roll < 0:
                return level
        return None

    def _loads_without(self, left: set[int]) -> list[int]:
        """The loads of the priorities that are still untried; all of them again when none is left."""
        scores = [
            0 if index in left else levels.availability(len(level.serving), len(level.hosts))
            for index, level in enumerate(self.levels)
        ]
        return levels.loads(scores) if any(scores) else self.loads

    # --- the picture that picks are made from

    def _changed(self) -> None:
        self.row.add(CHANGES, 1)

    def _draw(self) -> None:
        self.changes = self.row.total(CHANGES)
        self.stale = False
        now = self.clock()
        warmup = self.cluster.load_balancer.warmup
        latest = max((host.ready_since for host in self.hosts), default=-inf)
        if warmup is not None and latest + warmup.duration <= now:
            warmup = None
        self.warm_at = latest + warmup.duration if warmup is not None else 0.0
        # Terminating endpoints serve only where no ready one is left (Kubernetes KEP-1669).
        wanted = Health.READY
        if not any(host.endpoint.health is Health.READY for host in self.hosts):
            wanted = Health.DRAINING
        excluded = Health.UNREADY if wanted is Health.DRAINING else Health.DRAINING
        priorities, reserve = self.cluster.priorities, self.cluster.reserve
        shares = priorities.shares if priorities is not None else ()
        self.levels = [level_of(hosts, wanted, index) for index, hosts in enumerate(self._members(excluded))]
        if reserve and not any(level.serving for level in self.levels):
            self.levels, shares = [level_of(self._of(reserve, excluded), wanted, 0)], ()
        totals = [len(level.hosts) for level in self.levels]
        serving_counts = [len(level.serving) for level in self.levels]
        outlier = self.cluster.outlier
        panics = levels.panics(serving_counts, totals, outlier.min_health_percent if outlier is not None else 0)
        for level, panic in zip(self.levels, panics, strict=True):
            if panic:
                # Panic disregards ejections, but never sends to endpoints that are not ready, as Istio arranges it.
                level.serving = [host for host in level.hosts if host.endpoint.health is wanted]
        if panics and all(panics):
            self.loads = levels.panic_loads([len(level.serving) for level in self.levels])
        else:
            self.loads = levels.loads([levels.availability(*pair) for pair in zip(serving_counts, totals, strict=True)])
        for index, level in enumerate(self.levels):
            self._equip(level, () if index else shares, warmup)
        balancers = [balancer for level in self.levels for balancer in level.balancers]
        self.only = balancers[0] if len(self.levels) == len(balancers) == 1 else None

    def _members(self, excluded: Health) -> list[list[Host]]:
        """The hosts of each priority, without those that do not even count as absent."""
        priorities = self.cluster.priorities
        if priorities is None:
            hosts = self._of(self.cluster.endpoints, excluded)
            return [hosts] if hosts else []
        return [self._resolve(indices, excluded) for indices in priorities.levels]

    def _resolve(self, indices: Sequence[int], excluded: Health | None) -> list[Host]:
        return self._of([self.cluster.endpoints[index] for index in indices], excluded)

    def _of(self, endpoints: Sequence[Endpoint], excluded: Health | None) -> list[Host]:
        """The hosts of these endpoints, each once, without those in the state that does not count."""
        hosts: dict[Host, None] = {}
        for endpoint in endpoints:
            if endpoint.health is not excluded:
                hosts[self.by_address[endpoint.address, endpoint.port]] = None
        return list(hosts)

    def _equip(self, level: Level, shares: tuple[tuple[int, tuple[int, ...]], ...], warmup: Warmup | None) -> None:
        """Give the level its balancers: one, or one for each locality where `distribute` gives these weights."""
        if not shares:
            if level.serving:
                level.balancers = [self._balancer(level.serving, warmup)]
            return
        members = set(level.hosts)
        serving = set(level.serving)
        places: list[list[Host]] = []
        weights: list[float] = []
        for weight, indices in shares:
            hosts = [host for host in self._resolve(indices, None) if host in members]
            some = [host for host in hosts if host in serving]
            if some:
                places.append(some)
                weights.append(levels.locality_weight(weight, len(some), len(hosts)))
        if self.sticky:
            level.balancers = [self._hashing_over(places, weights)] if places else []
        else:
            level.balancers = [self._balancer(hosts, warmup) for hosts in places]
            level.bounds = list(accumulate(weights))

    def _balancer(self, hosts: Sequence[Host], warmup: Warmup | None) -> Balancer:
        if self.sticky:
            return hashing(self.cluster.load_balancer, hosts, [float(host.weight) for host in hosts])
        return balancer(self.cluster.load_balancer.algorithm, hosts, self.rng, self.clock, warmup)

    def _hashing_over(self, places: Sequence[Sequence[Host]], weights: Sequence[float]) -> Balancer:
        """One ring or table over all localities: a key stays where it is, whichever locality that is."""
        hosts: list[Host] = []
        shares: list[float] = []
        for place, weight in zip(places, weights, strict=True):
            total = sum(host.weight for host in place)
            hosts += place
            shares += [weight * host.weight / total for host in place]
        return hashing(self.cluster.load_balancer, hosts, shares)

    # --- what comes back

    def report(self, host: Host, status: int, outcome: Outcome = Outcome.RESPONSE) -> None:
        """What became of a request or connection to `host`; may eject it. `status` counts for RESPONSE alone."""
        if self.detector is not None and host.member:
            self.detector.report(host, status, outcome)

    def sweep(self, now: float) -> list[Host]:
        """Housekeeping, due at `next_sweep` (infinite: never): ends ejections, forgets unused passthrough addresses.
        Returns the latter, for their connections to be drained."""
        if now < self.next_sweep:
            return []
        if self.detector is not None and now >= self.sweep_at:
            self.detector.sweep()
            self.sweep_at = now + self.detector.settings.interval
            self.stale = True  # a worker that died took its ejections along without a word
        idle = [host for host in self.passing.values() if not host.load and now - host.used >= PASSTHROUGH_IDLE]
        for host in idle:
            del self.passing[host.address, host.port]
        self._schedule(now)
        return idle
