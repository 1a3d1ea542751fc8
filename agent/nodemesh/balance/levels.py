"""How load is divided among priorities and localities: Envoy's arithmetic of integer percents, apart from any host.

Envoy's pages "Priority levels", "Panic threshold" and "Locality weighted load balancing"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

OVERPROVISIONING: Final = 140  # percent: a level is fit for all its load until fewer than 100 / 1.4 % of it serve


def availability(serving: int, total: int) -> int:
    """A level's health score, 0 to 100."""
    return min(100, OVERPROVISIONING * serving // total) if total else 0


def loads(scores: Sequence[int]) -> list[int]:
    """The percent of traffic that each level gets, 100 in all; nothing but zeros if no level has a score."""
    normalized = min(100, sum(scores))
    if not normalized:
        return [0] * len(scores)
    left = 100
    result = []
    for score in scores:
        load = min(left, score * 100 // normalized)
        result.append(load)
        left -= load
    # What is left is rounding; the first level that serves at all gets it.
    result[next(index for index, score in enumerate(scores) if score)] += left
    return result


def panics(serving: Sequence[int], totals: Sequence[int], threshold: int) -> list[bool]:
    """Which levels disregard ejections: those below `threshold` percent, unless all levels together can carry the
    load. 0 switches panic off."""
    if sum(availability(some, total) for some, total in zip(serving, totals, strict=True)) >= 100:
        return [False] * len(totals)
    return [
        100.0 * some / total < threshold if total else threshold > 0
        for some, total in zip(serving, totals, strict=True)
    ]


def panic_loads(totals: Sequence[int]) -> list[int]:
    """The percents where every level panics: by size alone."""
    everything = sum(totals)
    if not everything:
        return [0] * len(totals)
    result = [100 * total // everything for total in totals]
    result[next(index for index, total in enumerate(totals) if total)] += 100 - sum(result)
    return result


def locality_weight(weight: int, serving: int, total: int) -> float:
    """A locality's weight in the draw among its level's localities, less if too few of its endpoints serve."""
    return weight * min(1.0, OVERPROVISIONING / 100.0 * serving / total) if total else 0.0
