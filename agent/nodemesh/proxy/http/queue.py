"""Requests that wait for a connection, where the breaker lets no more be opened."""

from __future__ import annotations

from typing import Final

from ...balance.limits import Limits
from ..clock import Clock, Timer
from .stream import Requester

#: How often those who wait for a connection ask again on their own: limits are the node's, and nobody tells this worker
#: what others give back.
RECHECK: Final = 0.05

#: The longest that a request waits for a connection whose route has no timeout (Envoy's stream_idle_timeout).
LONGEST_WAIT: Final = 300.0


class WaitingLine:
    """Those that wait for a connection to one endpoint, in their order, each with the moment at which it came. `open`
    counts the endpoint's connections."""

    __slots__ = ("open", "waiting")

    def __init__(self) -> None:
        self.open = 0
        self.waiting: dict[Requester, float] = {}

    def serve_first(self) -> bool:
        """Let the first in line ask again; False where it has to wait on, or there is none."""
        for requester in self.waiting:
            return requester.proceed()
        return False


class Queue:
    """Those of one cluster. `lines` are the ones in which somebody waits, in the order in which their first ones
    came."""

    __slots__ = ("clock", "limits", "lines", "_serving", "_timer")

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.clock = clock
        self.limits = limits
        self.lines: dict[WaitingLine, None] = {}
        self._serving = False  # inside `serve`
        self._timer: Timer | None = None  # of `_recheck`

    def enter(self, requester: Requester, line: WaitingLine) -> bool:
        """Wait for a connection; False where the queue is full (flag UO)."""
        if not self.limits.pending.try_acquire():
            return False
        line.waiting[requester] = self.clock.now
        self.lines[line] = None
        if self._timer is None:
            self._timer = self.clock.after(RECHECK, self._recheck)
        return True

    def leave(self, requester: Requester, line: WaitingLine) -> None:
        """Wait no longer."""
        if line.waiting.pop(requester, None) is not None:
            self.limits.pending.release()
            if not line.waiting:
                del self.lines[line]

    def serve(self, line: WaitingLine | None) -> None:
        """A connection has become free, or may be opened: let those in line ask again who can be served, first the ones
        who wait for the same endpoint."""
        if self._serving:
            return
        self._serving = True
        try:
            while line is not None and line.serve_first():
                pass
            exhausted = False
            for other in list(self.lines):
                if not exhausted or not other.open:
                    while other.serve_first():
                        pass
                    exhausted = bool(other.waiting)
        finally:
            self._serving = False

    def _recheck(self) -> None:
        """Ask again, and send away who has waited too long."""
        self._timer = None
        self.serve(None)
        longest = self.clock.now - LONGEST_WAIT
        for line in list(self.lines):
            while line.waiting:
                requester, since = next(iter(line.waiting.items()))
                if since > longest:
                    break
                requester.waited_too_long()
        if self.lines:
            self._timer = self.clock.after(RECHECK, self._recheck)
