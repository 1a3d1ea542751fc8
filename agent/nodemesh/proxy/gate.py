"""What is buffered on one pod's behalf, and whether its connections may be read: back-pressure for the pod as a whole.

What waits to be written drains by itself, so that nothing of the pod is read while that alone fills its share. What is
held otherwise (heads that are not complete, pipelined requests, bodies kept for another try) may need an upstream's
answer to go away: it stops the pod's own sending only, never the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .transport import Transport

#: Seconds without a byte taken from a full pod's buffers until the largest of them is given up.
STUCK: Final = 30.0

#: The share of a pod whose limits are not known yet.
UNLIMITED: Final = 1 << 62


class Gate:
    """One pod's. `transports` are its connections; a connection that is not to be read hears `Transport.reopened` when
    half of the share is free again. `share` may be passed by one read."""

    __slots__ = ("transports", "share", "pending", "held", "full", "crowded", "_waiting", "_moved", "_since")

    def __init__(self, transports: Mapping[int, Transport]) -> None:
        self.transports = transports
        self.share = UNLIMITED  # bytes
        self.pending = 0  # bytes to be written
        self.held = 0  # all others
        self.full = False  # nothing is read
        self.crowded = False  # nothing is read that comes from the pod itself
        self._waiting: dict[Transport, None] = {}
        self._moved = False  # something was written since the last look
        self._since = 0.0  # of the last look at which something had been

    def change_pending(self, size: int) -> None:
        """More bytes wait to be written, or fewer."""
        self.pending += size
        self._moved = self._moved or size < 0
        self._judge()

    def change_held(self, size: int) -> None:
        """More bytes are held for other reasons, or fewer."""
        self.held += size
        self._judge()

    def stops(self, transport: Transport) -> bool:
        """Whether a connection may not be read now; if so, it hears when it may."""
        if self.full or (self.crowded and transport.accepted):
            self._waiting[transport] = None
            return True
        return False

    def forget(self, transport: Transport) -> None:
        """A connection is closed."""
        self._waiting.pop(transport, None)

    def overdue(self, now: float) -> Transport | None:
        """The connection to give up where everything has been full and nothing has moved for too long: the one with
        most to be written. To be asked regularly."""
        if not self.full or self._moved:
            self._moved = False
            self._since = now
            return None
        if now - self._since < STUCK:
            return None
        self._since = now
        return max(self.transports.values(), key=pending_of, default=None)

    def _judge(self) -> None:
        full, crowded = self.full, self.crowded
        total = self.pending + self.held
        self.full = self.pending >= self.share or (full and self.pending * 2 > self.share)
        self.crowded = self.full or total >= self.share or (crowded and total * 2 > self.share)
        if self._waiting and ((full and not self.full) or (crowded and not self.crowded)):
            waiting, self._waiting = self._waiting, {}
            for transport in waiting:
                transport.reopened()


def pending_of(transport: Transport) -> int:
    return transport.pending
