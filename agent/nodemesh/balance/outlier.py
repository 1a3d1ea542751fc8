"""Outlier detection: counts each host's consecutive errors, ejects it at once, lets it back in at sweeps.

Envoy's arithmetic (its page "Outlier detection" and Istio's OutlierDetection). A streak belongs to the whole node: any
worker's success breaks it. The worker that ejects a host also lets it back in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Final

from ..routing.decision import Outlier
from .host import Host
from .rows import BACKOFF, EJECTED_AT, RESETS, STREAK, UNEJECTED_AT, CounterRow

MAX_EJECTION: Final = 300.0  # seconds, Envoy's default max_ejection_time; a longer base time stands for itself

#: A streak cell holds the epoch above these bits and the count in them.
COUNT_BITS: Final = 20
COUNT_MASK: Final = (1 << COUNT_BITS) - 1


class Outcome(IntEnum):
    """What a host did, as Envoy's `Outlier::Result` tells it apart."""

    RESPONSE = 0  # it answered; the status says what
    REQUEST_FAILED = 1  # connected, then reset or closed before a whole answer
    CONNECT_FAILED = 2
    TIMEOUT = 3  # of connecting or of the answer
    CONNECTED = 4  # connected; the answer is still to come (HTTP)
    COMPLETED = 5  # a TCP connection was established and used


class Streak(IntEnum):
    """Which streak an error counts in."""

    ANY_5XX = 0
    GATEWAY = 1
    LOCAL_ORIGIN = 2


#: The status that stands for an outcome without one where local errors are not split off; None: says nothing.
STATUS: Final[dict[Outcome, int | None]] = {
    Outcome.REQUEST_FAILED: 500,
    Outcome.CONNECT_FAILED: 503,
    Outcome.TIMEOUT: 504,
    Outcome.CONNECTED: None,
    Outcome.COMPLETED: 200,
}


class Detector:
    """Outlier detection of one group. `changed` is called after each ejection and return."""

    __slots__ = ("changed", "clock", "ejections", "hosts", "overflows", "settings")

    def __init__(
        self,
        settings: Outlier,
        hosts: Collection[Host],
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.hosts = hosts
        self.clock = clock
        self.changed = changed
        self.ejections = 0
        self.overflows = 0  # ejections that maxEjectionPercent forbade

    def report(self, host: Host, status: int, outcome: Outcome) -> None:
        """Account for one outcome; may eject the host."""
        if outcome is Outcome.RESPONSE:
            self._responded(host, status)
        elif self.settings.split_local_origin:
            self._happened(host, outcome)
        else:
            equivalent = STATUS[outcome]
            if equivalent is not None:
                self._responded(host, equivalent)

    def _responded(self, host: Host, status: int) -> None:
        row = host.row
        if not self._is_error(status):
            clear(row, Streak.ANY_5XX)
            clear(row, Streak.GATEWAY)
            return
        if status in (502, 503, 504):
            self._strike(host, Streak.GATEWAY, self.settings.consecutive_gateway_errors)
        else:
            clear(row, Streak.GATEWAY)
        self._strike(host, Streak.ANY_5XX, self.settings.consecutive_5xx)

    def _is_error(self, status: int) -> bool:
        codes = self.settings.error_codes
        return status in codes if codes else status >= 500

    def _happened(self, host: Host, outcome: Outcome) -> None:
        """An outcome where errors of local origin have a streak of their own."""
        if outcome is Outcome.CONNECT_FAILED or outcome is Outcome.TIMEOUT:
            self._strike(host, Streak.LOCAL_ORIGIN, self.settings.consecutive_local_origin)
        elif outcome is Outcome.REQUEST_FAILED:
            self._responded(host, 503)
        else:
            clear(host.row, Streak.LOCAL_ORIGIN)
            if outcome is Outcome.COMPLETED:
                self._responded(host, 200)

    def _strike(self, host: Host, kind: Streak, threshold: int) -> None:
        streak = strike(host.row, kind)
        if not threshold or streak < threshold or host.ejected:
            return
        clear(host.row, kind)
        ejected = sum(other.ejected for other in self.hosts)
        # Envoy without always_eject_one_host: the share is taken with this host already out.
        if 100.0 * (ejected + 1) / len(self.hosts) > self.settings.max_ejection_percent:
            self.overflows += 1
            return
        self._eject(host)

    def _eject(self, host: Host) -> None:
        row = host.row
        row.set(EJECTED_AT, max(1, int(self.clock() * 1e6)))
        base = self.settings.base_ejection
        if row.total(BACKOFF) * base < max(MAX_EJECTION, base) + base:
            row.add(BACKOFF, 1)
        self.ejections += 1
        self.changed()

    def sweep(self) -> None:
        """What Envoy does once per interval: lets those back in whose time is over, and forgives the others a step."""
        now = int(self.clock() * 1e6)
        for host in self.hosts:
            row = host.row
            since = row.own(EJECTED_AT)
            if since:
                if now - since >= ejection_time(self.settings, row.total(BACKOFF)) * 1e6:
                    self._return(host, now)
            elif not host.ejected:
                self._forgive(row, now)

    def release(self) -> None:
        """Outlier detection is switched off: let the endpoints back in that this worker ejected."""
        now = int(self.clock() * 1e6)
        for host in self.hosts:
            if host.row.own(EJECTED_AT):
                self._return(host, now)

    def _return(self, host: Host, now: int) -> None:
        host.row.set(EJECTED_AT, 0)
        host.row.set(UNEJECTED_AT, now)
        for kind in Streak:
            clear(host.row, kind)
        self.changed()

    def _forgive(self, row: CounterRow, now: int) -> None:
        """Shorten the next ejection after an interval in service. One worker at a time does it: the first with a
        share in the factor."""
        back = max(row.values(UNEJECTED_AT))
        if back and now - back >= self.settings.interval * 1e6:
            first = next((worker for worker, factor in enumerate(row.values(BACKOFF)) if factor), -1)
            if first == row.worker:
                row.add(BACKOFF, -1)


def ejection_time(settings: Outlier, factor: int) -> float:
    """Seconds that an ejection lasts, at least: sweeps alone end it."""
    return min(settings.base_ejection * factor, max(MAX_EJECTION, settings.base_ejection))


def strike(row: CounterRow, kind: Streak) -> int:
    """Count one more consecutive error; the node's streak."""
    epoch = row.total(RESETS + kind)
    own = row.own(STREAK + kind)
    count = own & COUNT_MASK if own >> COUNT_BITS == epoch else 0
    row.set(STREAK + kind, epoch << COUNT_BITS | min(count + 1, COUNT_MASK))
    return sum(value & COUNT_MASK for value in row.values(STREAK + kind) if value >> COUNT_BITS == epoch)


def clear(row: CounterRow, kind: Streak) -> None:
    """Break the streak, if there is one, by beginning a new epoch."""
    epoch = row.total(RESETS + kind)
    for value in row.values(STREAK + kind):
        if value & COUNT_MASK and value >> COUNT_BITS == epoch:
            row.add(RESETS + kind, 1)
            return
