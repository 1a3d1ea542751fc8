"""One stream: its state (RFC 9113 section 5.1), its windows, and what waits to be sent on it."""

from __future__ import annotations

from struct import Struct
from typing import Final

from .receiver import Receiver

# States, a bit for each side that says no more. Reserved ones do not come up: nobody pushes. A closed stream is an
# object no more, and is remembered by how it was closed.
OPEN: Final = 0
LOCAL: Final = 1  # half-closed (local): we have said END_STREAM
REMOTE: Final = 2  # half-closed (remote): the peer has
CLOSED: Final = 3

#: The state after an event, by the state before; -1: it is no event of that state.
ON_SENT_END: Final[list[int]] = [LOCAL, -1, CLOSED, -1]
ON_RECEIVED_END: Final[list[int]] = [REMOTE, CLOSED, -1, -1]
ON_RESET: Final[list[int]] = [CLOSED, CLOSED, CLOSED, CLOSED]

# How a stream that is no object any more came to its end.
IDLE: Final = 0  # not at all: it has not begun
ENDED: Final = 1  # both sides said END_STREAM
RESET_BY_PEER: Final = 2
RESET_BY_US: Final = 3  # and the peer may not know yet
FORGOTTEN: Final = 4

# What to do with a frame for such a stream.
IGNORE: Final = 0
REFUSE: Final = 1  # RST_STREAM STREAM_CLOSED
BREAK: Final = 2  # GOAWAY PROTOCOL_ERROR
BREAK_CLOSED: Final = 3  # GOAWAY STREAM_CLOSED

#: By the stream's fate. A field section is decoded, and DATA counted, in any case (RFC 9113 section 4.3 and 6.9).
FOR_DATA: Final = (BREAK, REFUSE, REFUSE, IGNORE, REFUSE)
FOR_HEADERS: Final = (BREAK, BREAK_CLOSED, REFUSE, IGNORE, BREAK)
FOR_OTHERS: Final = (BREAK, IGNORE, IGNORE, IGNORE, IGNORE)  # RST_STREAM, WINDOW_UPDATE


pack_id: Final = Struct(">I").pack


class Unsent:
    """What of a stream waits for the peer's windows: pieces of its body, of the first of which `offset` bytes are sent,
    and its trailers with their size, if they are known."""

    __slots__ = ("pieces", "offset", "pending", "finishing", "queued", "trailers", "size")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.offset = 0
        self.pending = 0  # bytes of the body that wait
        self.finishing = False  # END_STREAM follows what waits
        self.queued = False  # for the connection's window
        self.trailers: list[bytes] | None = None
        self.size = 0


class Http2Stream:
    """A stream that both sides know. `receiver` is who uses it."""

    __slots__ = (
        "id", "name", "since", "receiver", "state", "headed", "answered", "informed", "bodiless", "expected", "credit",
        "untaken", "owed", "window", "waiting", "curt",
    )  # fmt: skip

    def __init__(self, id: int, receiver: Receiver, credit: int, window: int, now: float) -> None:
        self.id = id
        self.name = pack_id(id)
        self.since = now
        self.receiver = receiver
        self.state = OPEN
        # what comes
        self.headed = False  # the request's head has come, or the final response's
        self.informed = 0  # interim heads so far
        self.bodiless = False  # the answer to HEAD: its content-length is of no body
        self.expected = 0  # bytes of the body that are still to come, or UNKNOWN: none before the head
        self.credit = credit  # bytes that the peer may send
        self.untaken = 0  # bytes that came, and that the receiver has not taken
        self.owed = 0  # bytes taken, and not given back to the peer yet
        # what goes
        self.answered = False  # our final head is sent
        self.window = window  # bytes that we may send; below 0 after SETTINGS (RFC 9113 section 6.9.2)
        self.waiting: Unsent | None = None
        self.curt = False  # server: what is left of the request is not wanted, once the response is sent

    @property
    def reading(self) -> bool:
        """The peer has not said END_STREAM."""
        return not self.state & REMOTE

    @property
    def writing(self) -> bool:
        """We have not said END_STREAM, nor will with what waits."""
        return not self.state & LOCAL and (self.waiting is None or not self.waiting.finishing)

    @property
    def pending(self) -> int:
        """Bytes of the body that wait."""
        return self.waiting.pending if self.waiting is not None else 0
