"""A histogram as plain integers: cheap to count, easy to add."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Final

#: Envoy's default buckets (docs: `stats_config.histogram_bucket_settings`), which Istio's metrics use for durations
#: in milliseconds and for sizes in bytes alike.
BOUNDS: Final[list[float]] = [
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0,
    300000.0, 600000.0, 1800000.0, 3600000.0,
]  # fmt: skip


class Histogram:
    """Counts by bucket, not cumulative; the last one is for what lies above all bounds."""

    __slots__ = ("counts", "sum")

    def __init__(self, counts: list[int] | None = None, total: float = 0.0) -> None:
        self.counts = counts if counts is not None else [0] * (len(BOUNDS) + 1)
        self.sum = total

    def add(self, values: list[float]) -> None:
        """Count values; those that come together are alike, as a rule, and lie in one bucket, or few."""
        if not values:
            return
        counts = self.counts
        self.sum += sum(values)
        bucket = bisect_left(BOUNDS, max(values))
        if not bucket or min(values) > BOUNDS[bucket - 1]:
            counts[bucket] += len(values)
            return
        low, high = math.inf, -math.inf  # a bucket's bounds: in none yet
        for value in values:
            if not low < value <= high:
                bucket = bisect_left(BOUNDS, value)
                low = BOUNDS[bucket - 1] if bucket else -math.inf
                high = BOUNDS[bucket] if bucket < len(BOUNDS) else math.inf
            counts[bucket] += 1

    def take(self) -> tuple[list[int], float]:
        """Counts and sum, and begin at zero again."""
        taken = self.counts, self.sum
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0
        return taken
