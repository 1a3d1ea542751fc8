"""Bytes of connections in kernel mode are counted while these stand, and none twice when they close. Pure.

sockops tells a connection's bytes at its end, summed up by path (`traffic.py`); the kernel's socket diagnosis tells
those of each that stands (`diagnosis.py`). A connection that was looked at and is not found any more has closed: what
was counted of it is owed by the sums of its path. So that no sum is out before the debt is known, the sums of paths
with such connections wait for the next look, and those that come during a look wait for the one after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .diagnosis import StandingConnection
from .traffic import Path, Traffic

#: Connections that are counted while they stand, at most: about 300 bytes each. Others are counted when they close.
LIMIT = 131_072

#: Looks after which a debt is given up: the path's sum is lost (the map was full), or its pod has left.
PATIENCE = 3


class Bytes(NamedTuple):
    """Of an app: what it has sent, what it has received."""

    sent: int = 0
    received: int = 0

    def __add__(self, other: Bytes) -> Bytes:  # type: ignore[override]
        return Bytes(self.sent + other.sent, self.received + other.received)


NONE = Bytes()


class Debt(NamedTuple):
    """What is owed, and how many looks ago it was found."""

    bytes: Bytes
    looks: int = 0


class StandingBytes:
    """Of the connections of all pods of this node."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: dict[int, StandingConnection] = {}  # by cookie, as counted
        self._paths: frozenset[Path] = frozenset()  # of those
        self._looking = False
        self._waiting: dict[Path, Bytes] = {}  # sums of closed ones, for this look's end, or the next look
        self._late: dict[Path, Bytes] = {}  # those that have come during this look
        self._owed: dict[Path, Debt] = {}
        self._carried: dict[Path, Bytes] = {}  # to be handed out

    def settle(self, taken: Mapping[Path, Traffic]) -> dict[Path, Traffic]:
        """What sockops has counted, with the bytes that are to be counted now in the place of those of closed
        connections."""
        for path, traffic in taken.items():
            self._take(path, Bytes(traffic.sent, traffic.received))
        carried, self._carried = self._carried, {}
        settled = {}
        for path in taken.keys() | carried.keys():
            traffic = taken.get(path) or Traffic(0, 0, 0, 0, 0, 0.0, 0.0)
            settled[path] = traffic._replace(**carried.get(path, NONE)._asdict())
        return settled

    def begin(self) -> None:
        """Sums that come from now on may be of connections that this look still finds."""
        self._looking = True

    def abandon(self) -> None:
        """The look has failed: all is as if there had been none."""
        self._looking = False
        self._wait(self._late)
        self._late = {}

    def end(self, found: Iterable[StandingConnection], since: Mapping[int, float]) -> None:
        """All that stand, and by namespace since when it has been ours: up to its first look, an older connection was
        counted by a predecessor."""
        before, known = self._known, dict[int, StandingConnection]()
        for one in found:
            counted = before.pop(one.cookie, None)
            if counted is None:
                if len(known) + len(before) >= self._limit:
                    continue
                if one.started < since.get(one.path.netns, 0.0):
                    counted = one
            known[one.cookie] = one
            self._carry(one.path, grown(one, counted))
        self._age()
        for gone in before.values():
            self._owe(gone.path, Bytes(gone.sent, gone.received))
        self._known = known
        self._paths = frozenset(one.path for one in known.values())
        self._looking = False
        waiting, self._waiting = self._waiting, {}
        for path, total in waiting.items():
            self._pay(path, total)
        self.abandon()

    def _take(self, path: Path, total: Bytes) -> None:
        if total == NONE:
            return
        if self._looking:
            self._late[path] = self._late.get(path, NONE) + total
        elif path in self._paths:
            self._wait({path: total})
        else:
            self._pay(path, total)

    def _wait(self, sums: Mapping[Path, Bytes]) -> None:
        for path, total in sums.items():
            self._waiting[path] = self._waiting.get(path, NONE) + total

    def _pay(self, path: Path, total: Bytes) -> None:
        """Count what a path's closed connections have carried beyond what is owed."""
        debt = self._owed.pop(path, None)
        if debt is not None:
            owed = debt.bytes
            left = Bytes(max(0, owed.sent - total.sent), max(0, owed.received - total.received))
            total = Bytes(max(0, total.sent - owed.sent), max(0, total.received - owed.received))
            if left != NONE:
                self._owed[path] = Debt(left, debt.looks)
        self._carry(path, total)

    def _carry(self, path: Path, more: Bytes) -> None:
        if more != NONE:
            self._carried[path] = self._carried.get(path, NONE) + more

    def _owe(self, path: Path, more: Bytes) -> None:
        self._owed[path] = Debt(self._owed[path].bytes + more if path in self._owed else more)

    def _age(self) -> None:
        self._owed = {
            path: Debt(debt.bytes, debt.looks + 1) for path, debt in self._owed.items() if debt.looks < PATIENCE
        }


def grown(now: StandingConnection, before: StandingConnection | None) -> Bytes:
    """What a connection has carried since it was counted."""
    if before is None:
        return Bytes(now.sent, now.received)
    return Bytes(max(0, now.sent - before.sent), max(0, now.received - before.received))
