"""Which of a route's weighted destinations gets a request or a connection."""

from __future__ import annotations

from random import Random

from ..routing.decision import WeightedCluster


def choose(destinations: tuple[WeightedCluster, ...], total: int, rng: Random) -> WeightedCluster:
    """A destination drawn in proportion to the weights, of which `total` is the sum; a single one needs none."""
    if len(destinations) > 1:
        roll = rng.random() * total
        for destination in destinations:
            roll -= destination.weight
            if roll < 0.0:
                return destination
    return destinations[-1]
