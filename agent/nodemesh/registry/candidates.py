"""The snapshot as it would be if all candidates that annotations have were in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from ..config.candidate import candidate_of, has_candidate
from ..config.load import LoadResult
from ..config.meta import Object
from .snapshot import Snapshot
from .store import RULE_KINDS

#: Objects with a candidate that are looked at; those of more come later, when others are gone.
MOST = 1000

#: Of one namespace: nobody takes the others' places.
MOST_OF_NAMESPACE = 100

#: A kind's objects by name, what they would be, and the names of those with a candidate.
Kept = tuple[Mapping[str, Object[Any]], Mapping[str, Object[Any]], tuple[str, ...]]


class Candidates:
    """Looks again only at the kinds of which something changed."""

    def __init__(self) -> None:
        self._known: dict[str, Kept] = {}
        self._read: dict[str, dict[str, tuple[Object[Any], LoadResult]]] = {}  # by attribute and name

    def of(self, snapshot: Snapshot) -> tuple[Snapshot, tuple[str, ...]]:
        """The snapshot with its candidates in force (itself, where there are none), and their objects' names."""
        found: dict[str, Mapping[str, Object[Any]]] = {}
        names: list[str] = []
        for (_, kind), attribute in RULE_KINDS.items():
            live = getattr(snapshot, attribute)
            known = self._known.get(attribute)
            if known is None or known[0] is not live:
                known = self._known[attribute] = self._look(attribute, kind, live)
            if known[2]:
                found[attribute] = known[1]
                names += known[2]
        return (msgspec.structs.replace(snapshot, **found) if found else snapshot), tuple(names)

    def versions(self, snapshot: Snapshot) -> tuple[object, ...]:
        """Differs where the candidates do."""
        return tuple(
            (attribute, key, self._known[attribute][1].get(key))
            for attribute in RULE_KINDS.values()
            for name in self._known[attribute][2]
            if (key := name.partition(" ")[2])
        )

    def _look(self, attribute: str, kind: str, live: Mapping[str, Object[Any]]) -> Kept:
        counts: Counter[str] = Counter()
        with_one: list[str] = []
        for key, item in live.items():
            if has_candidate(item) and counts[item.meta.namespace] < MOST_OF_NAMESPACE and len(with_one) < MOST:
                counts[item.meta.namespace] += 1
                with_one.append(key)
        if not with_one:
            self._read.pop(attribute, None)
            return live, live, ()
        changed = dict(live)
        names = []
        before = self._read.get(attribute, {})
        read = self._read[attribute] = {}
        for key in with_one:
            known = before.get(key)
            loaded = known[1] if known is not None and known[0] is live[key] else candidate_of(live[key])
            read[key] = live[key], loaded
            if loaded.problems:
                continue
            names.append(f"{kind} {key}")
            changed.pop(key)
            for item in loaded.objects:
                changed[key] = item
        return live, changed, tuple(names)
