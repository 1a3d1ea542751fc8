"""RING_HASH: a ring of hashed points, on which a key goes to the next point's host (ketama, as Envoy's ring hash).

A host's points depend on its address alone, so when a host leaves only its own keys move."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from .algorithms import Balancer
from .hashing import hash_key
from .host import Host

MAX_POINTS = 8 * 1024 * 1024  # Envoy's default maximum_ring_size


class Ring(Balancer):
    __slots__ = ("owners", "points")

    def __init__(self, hosts: Sequence[Host], minimum: int, weights: Sequence[float]) -> None:
        super().__init__(hosts)
        ring = sorted(
            (hash_key(f"{host.address}:{host.port}_{number}".encode()), index)
            for index, (host, count) in enumerate(zip(self.hosts, point_counts(weights, minimum), strict=True))
            for number in range(count)
        )
        self.points = [point for point, _ in ring]
        self.owners = [self.hosts[index] for _, index in ring]

    def pick(self, key: int) -> Host | None:
        if not self.owners:
            return None
        return self.owners[bisect_left(self.points, key) % len(self.owners)]


def point_counts(weights: Sequence[float], minimum: int) -> list[int]:
    """How many points each host gets: in proportion to its weight, the lightest a whole number, `minimum` or somewhat
    more in all."""
    total = sum(weights)
    lightest = min(weights, default=0.0)
    if not lightest:
        return [0] * len(weights)
    scale = min(ceil(lightest / total * minimum) * total / lightest, float(MAX_POINTS))
    counts = []
    placed = 0
    target = 0.0
    for weight in weights:
        target += scale * weight / total
        count = max(0, ceil(target - 1e-6) - placed)  # the tolerance keeps rounding from adding a point
        counts.append(count)
        placed += count
    return counts
