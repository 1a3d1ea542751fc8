"""Endpoints that refuse: in kernel mode nobody retries, so control takes those that only fail out of the maps for a
while. Pure; seconds of the caller's clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .maps import Backend, pack_address
from .traffic import Path, Traffic

#: Seconds over which attempts are judged together: longer than control's round of collection.
INTERVAL = 2.0

#: Failed attempts within an interval, without a single connection that came to an orderly end, that put one out.
FAILURES = 3

#: Seconds out, times the number of times in a row, at most; Envoy's base_ejection_time and max_ejection_time are 30 and
#: 300, but its requests are retried meanwhile and ours are not.
BASE = 10.0
LONGEST = 300.0


class Ejected(NamedTuple):
    """`times` in a row, `until` when; kept for as long again, so that the count goes on for one that still fails."""

    times: int
    since: float
    until: float


class Ejections:
    """Who is out. Fed with what `traffic.take` brings home."""

    def __init__(self) -> None:
        self._ejected: dict[Backend, Ejected] = {}
        self._attempts: dict[Backend, tuple[int, int]] = {}  # failed, closed in this interval
        self._began = 0.0

    def observe(self, taken: Mapping[Path, Traffic], now: float) -> None:
        """Count what has happened, and judge it when its interval is over."""
        for path, traffic in taken.items():
            address, port = path.backend
            if port:  # 0 stands for a destination without endpoints
                backend = Backend(pack_address(address), port)
                failed, closed = self._attempts.get(backend, (0, 0))
                self._attempts[backend] = failed + traffic.failed, closed + traffic.closed
        if now - self._began < INTERVAL:
            return
        for backend, (failed, closed) in self._attempts.items():
            if failed >= FAILURES and not closed:
                self._eject(backend, now)
        self._attempts.clear()
        self._began = now

    def out(self, now: float) -> frozenset[Backend]:
        """Those that are out at this moment."""
        for backend, one in list(self._ejected.items()):
            if now > one.until + (one.until - one.since):
                del self._ejected[backend]
        return frozenset(backend for backend, one in self._ejected.items() if now < one.until)

    def _eject(self, backend: Backend, now: float) -> None:
        known = self._ejected.get(backend)
        if known is not None and now < known.until:
            return  # out already: these were sent before, or its set has no others
        times = known.times + 1 if known is not None else 1
        self._ejected[backend] = Ejected(times, now, now + min(BASE * times, LONGEST))
