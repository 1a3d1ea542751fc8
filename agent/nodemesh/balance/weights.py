"""Which of a route's weighted destinations gets a request."""

from __future__ import annotations

from collections.abc import Sequence

from ..routing.decision import Destination


def choose(destinations: Sequence[Destination], total: int, roll: int) -> Destination:
    """The destination in whose share `roll` (any random non-negative integer) falls: modulo the total weight,
    cumulative in the order of the configuration, as Envoy's weighted clusters. A single one needs no weight."""
    if len(destinations) == 1 or total <= 0:
        return destinations[0]
    value = roll % total
    for destination in destinations:
        value -= destination.weight
        if value < 0:
            return destination
    return destinations[-1]
