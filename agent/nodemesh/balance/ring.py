"""RING_HASH: a ring of hashed points, on which a key goes to the next point's host (ketama, as Envoy's ring hash).

A host's points depend on its address alone, and up to ROOMY points in all so does their number: when a host leaves,
only its own keys move. (Envoy keeps the ring's size instead, so that the others' points, and keys, move too.)"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import ceil
from typing import Final

from .algorithms import Balancer
from .hashing import hash_key
from .host import Host

ROOMY: Final = 32 * 1024  # points up to which each host has as many as the whole ring needs; built within some 20 ms
MAX_POINTS: Final = 128 * 1024


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
    """How many points each host gets, in proportion to its weight: the lightest `minimum`; in a large group fewer, but
    at least one, and `minimum` in all."""
    total = sum(weights)
    lightest = min(weights, default=0.0)
    if not lightest:
        return [0] * len(weights)
    shares = total / lightest  # how many hosts as light as the lightest would weigh the same
    size = min(minimum * shares, max(minimum, ROOMY, shares), MAX_POINTS)
    counts = []
    placed = 0
    target = 0.0
    for weight in weights:
        target += size * weight / total
        count = max(0, ceil(target - 1e-6) - placed)  # the tolerance keeps rounding from adding a point
        counts.append(count)
        placed += count
    return counts
