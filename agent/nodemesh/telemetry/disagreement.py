"""What a candidate configuration would have answered otherwise: counts and samples, as workers hand them to control."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..routing.diff.sides import Contrast
from ..routing.heads import KeptHead


class Disagreement(msgspec.Struct, kw_only=True):
    """Requests that both sides answer in the same two ways."""

    contrast: Contrast
    count: int = 0
    samples: list[KeptHead] = []


class ShadowCounts(msgspec.Struct, kw_only=True):
    """Of `requests` to places that the candidate changes, each decided by both sides, the `disagreements`. `folded` are
    those for which there was no room of their own, `failed` those that the candidate could not decide about, with the
    first `error`. `version` is that of the tables beside which the candidate stands, 0 where it does not."""

    run: int = 0
    version: int = 0
    requests: int = 0
    disagreements: list[Disagreement] = []
    folded: int = 0
    failed: int = 0
    error: str = ""

    @property
    def differing(self) -> int:
        return sum(each.count for each in self.disagreements) + self.folded


#: Samples that are kept of one disagreement, the newest.
SAMPLES = 2


def merged(counts: Iterable[ShadowCounts]) -> ShadowCounts:
    """The counts of several workers as one, the most frequent disagreement first."""
    total = ShadowCounts()
    found: dict[tuple[object, ...], Disagreement] = {}
    for each in counts:
        total.requests += each.requests
        total.folded += each.folded
        total.failed += each.failed
        total.error = total.error or each.error
        total.version = max(total.version, each.version)
        total.run = max(total.run, each.run)
        for one in each.disagreements:
            known = found.get(one.contrast.key)
            if known is None:
                known = found[one.contrast.key] = Disagreement(contrast=one.contrast)
            known.count += one.count
            known.samples = sorted([*known.samples, *one.samples], key=lambda head: head.at)[-SAMPLES:]
    total.disagreements = sorted(found.values(), key=lambda one: (-one.count, one.contrast.place))
    return total
