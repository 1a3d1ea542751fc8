"""What is buffered on one pod's behalf, and whether its connections may be read: back-pressure for the pod as a whole.

What waits to be written drains by itself, so that nothing of the pod is read while that alone fills its share. What is
held otherwise (heads that are not complete, pipelined requests, bodies kept for another try) may need an upstream's
answer to go away: it stops the pod's own sending only, never the answers. What is blocked (answers for which the client
has opened no window of HTTP/2) goes away by what the client sends: it stops the answers only.

Accounts stand one above the other: the clients of a gateway have theirs below the gateway's, and all pods theirs below
the worker's. Each may have as much as is still free above it (dynamic thresholds, as switches share their buffers:
Choudhury and Hahne, 1998): alone it gets half, several get as much each, and there is room for whoever comes."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from mypy_extensions import mypyc_attr

#: The errno of a connection that is given up for what its pod has buffered, or for another client's.
OVER_QUOTA: Final = errno.EDQUOT

#: Seconds without a byte taken from a full pod's buffers until the largest of them is given up.
STUCK: Final = 30.0

#: The share of an account whose limits are not known yet.
UNLIMITED: Final = 1 << 62

#: Bytes that each may have however little is free: nobody is stopped for what others have.
FLOOR: Final = 16 * 1024

#: Who waits for room is asked again when so much of the share has become free.
STEP: Final = 64


@mypyc_attr(allow_interpreted_subclasses=True)
class Gated:
    """A connection as its gate knows it: `pending` bytes wait to be written; `accepted` is the pod's own connection to
    us, not ours to an upstream."""

    __slots__ = ("pending", "accepted")

    pending: int
    accepted: bool

    def reopened(self) -> None:
        """The pod may be read again, which it might not when this connection last had something (`Gate.stops`)."""
        raise NotImplementedError

    def give_up(self, why: str) -> None:
        """Reset the connection for what others need."""
        raise NotImplementedError


class Copy:
    """Bytes that were passed on and are kept in case they are wanted again."""

    __slots__ = ()

    def forget(self) -> None:
        """They are not kept any longer."""
        raise NotImplementedError


class Account:
    """Bytes that several share: `share` is what they may have together, `used` what they have."""

    __slots__ = ("share", "used", "peak", "below", "_ask_at")

    def __init__(self) -> None:
        self.share = UNLIMITED
        self.used = 0
        self.peak = 0  # the most since it was last looked at
        self.below: dict[Gate, None] = {}  # those that wait for room
        self._ask_at = 0

    @property
    def allowance(self) -> int:
        """What each of those below may have."""
        free = self.share - self.used
        if free >= FLOOR:
            return free
        return FLOOR if self.used < 2 * self.share else 0

    def change_pending(self, size: int) -> None:
        """More bytes wait to be written, or fewer."""
        self._change(size)

    def change_held(self, size: int) -> None:
        """More bytes are held for other reasons, or fewer."""
        self._change(size)

    def change_blocked(self, size: int) -> None:
        """More bytes of answers wait for their client's windows, or fewer."""
        self._change(size)

    def await_room(self, gate: Gate) -> None:
        """Judge that account again when there is more room."""
        self.below[gate] = None
        self._ask_at = max(self._ask_at, self.used - self.share // STEP)

    def _change(self, size: int) -> None:
        self.used += size
        if self.used > self.peak:
            self.peak = self.used
        if self.below and self.used <= self._ask_at:
            below, self.below = self.below, {}
            self._ask_at = 0
            for gate in below:
                gate.judge()


class Gate(Account):
    """The account of one pod, or of one client of a gateway. `transports` are its connections; one that is not to be
    read hears `Gated.reopened` when half of what it may have is free again. The limit may be passed by one read.
    `copies` are forgotten when there is no room: else the rest of a body would wait for its beginning to go."""

    __slots__ = (
        "transports", "above", "pending", "blocked", "limit", "full", "crowded", "choked", "tight", "copies",
        "_waiting", "_moved", "_since",
    )  # fmt: skip

    def __init__(self, transports: Mapping[int, Gated], above: Account) -> None:
        super().__init__()
        self.transports = transports
        self.above = above
        self.pending = 0  # bytes to be written
        self.blocked = 0  # bytes of answers that wait for their client's windows
        self.limit = UNLIMITED  # bytes, when it was last judged
        self.full = False  # nothing is read
        self.crowded = False  # nothing is read that comes from the pod itself
        self.choked = False  # nothing is read that comes from others
        self.tight = False  # one of these
        self.copies: dict[Copy, None] = {}
        self._waiting: dict[Gated, None] = {}
        self._moved = False  # something was written since the last look
        self._since = 0.0  # of the last look at which something had been

    @property
    def held(self) -> int:
        """Bytes for other reasons than to be written, or blocked."""
        return self.used - self.pending - self.blocked

    @property
    def overfull(self) -> bool:
        """Whether the answers alone are more than there may be: where reading stops in time they never are."""
        return self.pending + self.blocked >= self.limit

    def change_pending(self, size: int) -> None:
        self.above.change_pending(size)
        self.pending += size
        self._moved = self._moved or size < 0
        self._change(size)
        self.judge()

    def change_held(self, size: int) -> None:
        self.above.change_held(size)
        self._change(size)
        self.judge()

    def change_blocked(self, size: int) -> None:
        self.above.change_blocked(size)
        self.blocked += size
        self._change(size)
        self.judge()

    def stops(self, transport: Gated) -> bool:
        """Whether a connection may not be read now; if so, it hears when it may."""
        if self.crowded if transport.accepted else self.choked:
            self._waiting[transport] = None
            self.above.await_room(self)
            return True
        return False

    def forget(self, transport: Gated) -> None:
        """A connection is closed."""
        self._waiting.pop(transport, None)

    def overdue(self, now: float) -> Gated | None:
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

    def judge(self) -> None:
        """Look again whether the connections may be read."""
        above = self.above
        free = above.share - above.used
        limit = self.limit = min(self.share, free if free >= FLOOR else above.allowance)
        asked, answered = self.used - self.blocked, self.pending + self.blocked
        if not self.tight and asked < limit and answered < limit:
            return  # the common case: as it was
        full, crowded, choked = self.full, self.crowded, self.choked
        self.full = self.pending >= limit or (full and self.pending * 2 > limit)
        self.crowded = self.full or asked >= limit or (crowded and asked * 2 > limit)
        self.choked = self.full or answered >= limit or (choked and answered * 2 > limit)
        self.tight = self.crowded or self.choked
        if self.crowded and self.copies:
            copies, self.copies = self.copies, {}
            for copy in copies:
                copy.forget()  # which judges again
        if not self._waiting:
            return
        if (crowded and not self.crowded) or (choked and not self.choked):
            waiting, self._waiting = self._waiting, {}
            for transport in waiting:
                transport.reopened()
        else:
            self.above.await_room(self)


def pending_of(transport: Gated) -> int:
    return transport.pending
