"""What the hooks have counted: one number per hook and reason, summed over the CPUs."""

from __future__ import annotations

from ..reasons import Reason
from .maps import REASONS, U32, U64, Hook, Maps

Counts = dict[tuple[Hook, Reason], int]


def read(maps: Maps) -> Counts:
    """Counts since the maps were made, those that are not 0."""
    counts: Counts = {}
    for hook in Hook:
        for reason in Reason:
            if reason >= REASONS:
                continue
            values = maps["counters"].lookup(U32.pack(hook * REASONS + reason)) or b""
            total = sum(value for (value,) in U64.iter_unpack(values))
            if total:
                counts[hook, reason] = total
    return counts
