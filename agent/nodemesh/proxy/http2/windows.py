"""Both windows of a connection and of its streams (RFC 9113 section 5.2): what they let out, what waits for them, and
what is given back to the peer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .frames import DATA, END_STREAM, FIRST_DATA, LAST_DATA, MAX_31, SMALL, begin, write_window_update
from .limits import Http2Limits
from .settings import DEFAULT_WINDOW, Settings
from .stream import ON_RECEIVED_END, Http2Stream, Unsent
from .watch import Watch

#: What waits is kept in pieces of at least this size, so that their number is bounded by their bytes.
PIECE: Final = 4096


class Windows:
    """What of bodies goes out, and how much may come."""

    __slots__ = (
        "limits", "peer", "watch", "window", "credit", "owed", "broken", "backlog", "recount", "unsent", "out",
        "_worth_saying", "_blocked",
    )  # fmt: skip

    def __init__(self, limits: Http2Limits, now: float) -> None:
        self.limits = limits
        self.peer = Settings()
        self.watch = Watch(limits.streams, now)
        self.window = DEFAULT_WINDOW  # bytes of bodies that we may send
        self.credit = limits.connection_window  # that the peer may
        self.owed = 0  # bytes taken, and not given back to the peer yet
        self.broken = False  # nothing goes in or out any more
        self.backlog = 0  # bytes of all streams that wait for the peer's windows
        self.recount = False  # that has changed, or what is kept of the peer's, since whoever counts it looked
        self.unsent = 0  # bytes of bodies that `out` has
        self.out: list[bytes] = []  # what is to be sent now, in pieces
        self._worth_saying = (limits.connection_window + 1) // 2  # of `owed`
        self._blocked: OrderedDict[int, Http2Stream] = OrderedDict()  # they wait for the connection's window alone

    # --- what comes

    def taken(self, stream: Http2Stream, size: int) -> None:
        """The receiver has no more use for so many bytes of the body: the peer may send as many again."""
        if size > stream.untaken:
            size = stream.untaken
        if size <= 0 or self.broken:
            return
        stream.untaken -= size
        self.owed += size
        if self.owed >= self._worth_saying:
            self._give_back(0)
        if ON_RECEIVED_END[stream.state] >= 0:
            stream.owed += size
            if stream.owed * 2 >= self.limits.window:
                stream.credit += stream.owed
                self.out.append(write_window_update(stream.name, stream.owed))
                stream.owed = 0

    def _give_back(self, size: int) -> None:
        """The connection's window, in pieces of half of it."""
        self.owed += size
        if self.owed >= self._worth_saying:
            self.credit += self.owed
            self.out.append(write_window_update(b"\x00\x00\x00\x00", self.owed))
            self.owed = 0

    # --- what goes

    def _write_data(self, stream: Http2Stream, data: bytes, size: int, ended: bool) -> None:
        """Send a frame, for which the windows have room."""
        stream.window -= size
        self.window -= size
        self.unsent += size
        self.watch.sent += 1
        out = self.out
        if size < SMALL:
            out.append(LAST_DATA[size] if ended else FIRST_DATA[size])
        else:
            out.append(begin(size, DATA, END_STREAM if ended else 0))
        out.append(stream.name)
        out.append(data)
        if ended:
            self._ended(stream)

    def _wait(self, stream: Http2Stream, data: bytes, size: int, ended: bool) -> None:
        """There is no room in the windows for all of this."""
        waiting = stream.waiting
        if waiting is None:
            waiting = stream.waiting = Unsent()
        pieces = waiting.pieces
        if pieces and len(pieces[-1]) < PIECE:
            pieces[-1] += data
        else:
            pieces.append(data)
        waiting.pending += size
        waiting.finishing = ended
        self.backlog += size
        self.recount = True
        self._flush(stream, waiting, MAX_31)

    def _flush(self, stream: Http2Stream, waiting: Unsent, most: int) -> None:
        """Send what waits in a stream, as far as the windows, and `most`, let it."""
        pieces = waiting.pieces
        limit = self.peer.frame
        done = 0  # whole pieces
        offset = waiting.offset
        self.recount = True
        while waiting.pending > 0:
            size = min(limit, stream.window, self.window, most)
            if size <= 0:
                break
            piece = pieces[done]
            size = min(size, len(piece) - offset)
            most -= size
            waiting.pending -= size
            self.backlog -= size
            data = piece if size == len(piece) else piece[offset : offset + size]
            if waiting.finishing and not waiting.pending and waiting.trailers is None:
                stream.waiting = None
                self._write_data(stream, data, size, True)
                return
            self._write_data(stream, data, size, False)
            offset += size
            if offset == len(piece):
                offset = 0
                done += 1
        if waiting.pending:
            del pieces[:done]
            waiting.offset = offset
            if stream.window > 0 and not waiting.queued:
                waiting.queued = True
                self._blocked[stream.id] = stream
            return
        stream.waiting = None
        if waiting.trailers is not None:
            self.backlog -= waiting.size
            self._finish_stream(stream, waiting.trailers)

    def _resume(self, stream: Http2Stream, most: int) -> None:
        """Send what waited for a window, unless it waits its turn for the connection's, and tell when nothing waits any
        more."""
        waiting = stream.waiting
        if waiting is None or waiting.queued:
            return
        self._flush(stream, waiting, most)
        if stream.waiting is None and stream.writing:
            stream.receiver.drained()

    def _unblock(self) -> None:
        """The connection's window has opened: streams that waited for it get a frame each by turns."""
        blocked = self._blocked
        while self.window > 0 and blocked:
            stream = blocked.popitem(last=False)[1]
            if stream.waiting is not None:
                stream.waiting.queued = False
                self._resume(stream, self.peer.frame)

    def _drop(self, stream: Http2Stream, waiting: Unsent) -> None:
        """What waits in a stream is not sent any more."""
        self.backlog -= waiting.pending + waiting.size
        self.recount = True
        stream.waiting = None
        if waiting.queued:
            del self._blocked[stream.id]

    # --- who knows what follows a body

    def _finish_stream(self, stream: Http2Stream, trailers: list[bytes]) -> None:
        """The body is sent: its trailers end the stream."""
        raise NotImplementedError

    def _ended(self, stream: Http2Stream) -> None:
        """END_STREAM is sent."""
        raise NotImplementedError
