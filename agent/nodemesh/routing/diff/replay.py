"""Recorded heads decided about by two versions of the configuration, and compared."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..heads import KeptHead, ask, hidden
from ..views import Views
from .sides import Contrast, Contraster

#: Different answers that are told apart; heads with others are counted.
MOST = 1000


class Replayed(msgspec.Struct, kw_only=True):
    """Heads that are all answered otherwise in the same way, with the first of them."""

    contrast: Contrast
    count: int = 0
    unsure: int = 0
    example: KeptHead


class Replay(msgspec.Struct, kw_only=True):
    """Of `heads`, those that are answered otherwise. `unsure` are heads of which rules look at what was redacted or
    cut: what they come to may be wrong on both sides."""

    heads: int = 0
    differing: int = 0
    unsure: int = 0
    folded: int = 0
    found: list[Replayed] = []


def replay(old: Views, new: Views, heads: Iterable[KeptHead]) -> Replay:
    """The most frequent difference first; each head is decided about as its client's."""
    contraster = Contraster(old.tables, new.tables)
    result = Replay()
    found: dict[tuple[object, ...], Replayed] = {}
    for head in heads:
        result.heads += 1
        before = ask(old.for_client(head.client), head)
        after = ask(new.for_client(head.client), head)
        unsure = head.cut or bool(hidden(before.rules, head) or hidden(after.rules, head))
        result.unsure += unsure
        contrast = contraster.contrast(
            head.place, before.home or after.home, head.port, before.decision, after.decision
        )
        if contrast is None:
            continue
        result.differing += 1
        known = found.get(contrast.key)
        if known is None:
            if len(found) >= MOST:
                result.folded += 1
                continue
            known = found[contrast.key] = Replayed(contrast=contrast, example=head)
        known.count += 1
        known.unsure += unsure
    result.found = sorted(found.values(), key=lambda each: -each.count)
    return result
