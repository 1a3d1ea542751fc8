"""The outgoing half of a connection: frames in their order, and what a closed stream leaves behind."""

from __future__ import annotations

from collections import deque
from typing import Final

from ...reasons import Reason
from ..http.head import NO_EDITS, Edits
from .codes import ENHANCE_YOUR_CALM, NO_ERROR
from .fault import ConnectionFault, Http2Fault
from .frames import (
    MAX_31,
    PREFACE,
    add_block,
    write_goaway,
    write_ping,
    write_reset,
    write_settings,
    write_window_update,
)
from .limits import Http2Limits
from .receiver import NOBODY, Receiver
from .role import Role
from .settings import DEFAULT_WINDOW
from .stream import (
    CLOSED,
    ENDED,
    FORGOTTEN,
    IDLE,
    LOCAL,
    ON_RESET,
    ON_SENT_END,
    RESET_BY_US,
    Http2Stream,
)
from .windows import Windows
from .writer import Opening, Writer

#: Streams that we open before the peer has said how many it takes (as .NET and Go do).
UNSETTLED_STREAMS: Final = 100

#: No new streams from here on: a connection's ids do not come back.
LAST_ID: Final = (1 << 30) - 1

#: Bytes of a GOAWAY's text.
MAX_TEXT: Final = 64

#: Closed streams that are remembered, and more that we reset while the peer was still sending, as it may yet do.
REMEMBERED: Final = 128
REMEMBERED_RESETS: Final = 256


class Sending(Windows):
    """What both sides of a connection may do. `now` is the time of the last call that had one."""

    __slots__ = (
        "role", "server", "streams", "most", "last", "now", "settled", "acknowledged", "leaving", "control", "kept",
        "_writer", "_closed", "_resets", "_accepted",
    )  # fmt: skip

    def __init__(self, role: Role, server: bool, limits: Http2Limits, now: float) -> None:
        super().__init__(limits, now)
        self.role = role
        self.server = server
        self.streams: dict[int, Http2Stream] = {}
        self.last = 0 if server else -1  # the highest id of the side that opens streams
        self.now = now
        self.settled = False  # the peer's settings have come
        self.acknowledged = False  # the peer knows ours
        self.leaving = False  # the peer, or we, said GOAWAY: no new streams of ours
        self.most = UNSETTLED_STREAMS  # client: so many streams may be open, or are open, at once
        self.control = 0  # answers to the peer's frames since `flushed`
        self.kept = 0  # bytes of bodies that the streams' users keep until somebody takes them
        self._accepted = MAX_31  # by our last GOAWAY: the peer's streams beyond it are ignored
        self._writer = Writer()
        self._closed: deque[int] = deque(maxlen=REMEMBERED)  # of the last closed streams, ids with their fates
        self._resets: dict[int, None] = {}
        greeting = write_settings(limits.announced(server))
        if limits.connection_window > DEFAULT_WINDOW:
            greeting += write_window_update(b"\x00\x00\x00\x00", limits.connection_window - DEFAULT_WINDOW)
        self.out.append(greeting if server else PREFACE + greeting)

    # --- the connection

    def outgoing(self) -> bytes:
        """What is to be sent now; the caller has it from here on."""
        out = self.out
        if not out:
            return b""
        self.out = []
        self.unsent = 0
        return out[0] if len(out) == 1 else b"".join(out)

    def flushed(self) -> None:
        """The transport has sent everything: the peer reads."""
        self.control = 0

    @property
    def capacity(self) -> int:
        """Client: how many streams may be opened now."""
        return max(self.most - len(self.streams), 0)

    def ping(self, payload: bytes) -> None:
        """Eight bytes that come back to `Role.ponged`."""
        if not self.broken:
            self.out.append(write_ping(payload, 0))

    def drain(self) -> None:
        """The first of two GOAWAYs: the peer is to open no more streams; those on their way are still served."""
        if not self.broken:
            self._leave()
            self.out.append(write_goaway(MAX_31 if self.server else 0, NO_ERROR, b""))

    def finish(self) -> None:
        """The second GOAWAY, a round trip or more after `drain`: streams that come from now on are not looked at. When
        `streams` is empty the connection can be closed."""
        if not self.broken:
            self._leave()
            self._accepted = self._last_accepted()
            self.out.append(write_goaway(self._accepted, NO_ERROR, b""))

    def give_up(self, fault: Http2Fault) -> None:
        """End the connection for something that the peer did not do in time."""
        self._break(fault)

    def lost(self, fault: Http2Fault) -> None:
        """The transport is gone: all streams fail with this."""
        if not self.broken:
            self.broken = True
            self._leave()
            self._fail_streams(fault)

    def _break(self, fault: Http2Fault) -> None:
        """A connection error."""
        if not self.broken:
            text = fault.text.encode("ascii", "replace")[:MAX_TEXT]
            self.out.append(write_goaway(self._last_accepted(), fault.code, text))
            self.broken = True
            self._leave()
            self._fail_streams(fault)
            self.role.broken(fault)

    def _leave(self) -> None:
        """Client: no stream is opened from here on."""
        self.leaving = True
        self.most = 0

    def _last_accepted(self) -> int:
        """The peer's last stream that we may have acted on."""
        return min(self.last, self._accepted) if self.server else 0

    def _fail_streams(self, fault: Http2Fault) -> None:
        for stream in list(self.streams.values()):
            if stream.state != CLOSED:  # one's end may be another's
                self._fail(stream, ENDED, fault)

    # --- streams

    def open(self, receiver: Receiver, bodiless: bool) -> Http2Stream:
        """Client: a stream, where there is `capacity`; its head comes next. `bodiless`: the request is HEAD."""
        self.last += 2
        if self.last + 2 > LAST_ID:
            self._leave()
        stream = Http2Stream(self.last, receiver, self.limits.window, self.peer.window, self.now)
        stream.bodiless = bodiless
        self.streams[stream.id] = stream
        self.watch.streams += 1
        return stream

    def send_informed(self, stream: Http2Stream, opening: Opening) -> None:
        """Server: an interim response."""
        if stream.writing and not stream.answered:
            add_block(self.out, stream.name, self._writer.head(opening, NO_EDITS), False, self.peer.frame)

    def send_head(self, stream: Http2Stream, opening: Opening, edits: Edits, ended: bool) -> None:
        """A head, and what the proxy says in it; `ended`: without a body."""
        if not stream.answered and ON_SENT_END[stream.state] >= 0:
            stream.answered = True
            add_block(self.out, stream.name, self._writer.head(opening, edits), ended, self.peer.frame)
            if ended:
                self._ended(stream)

    def send_data(self, stream: Http2Stream, data: bytes, ended: bool) -> None:
        """Part of a body; `stream.pending` tells how much waits for the peer's windows, until `Receiver.drained`."""
        waiting = stream.waiting
        if ON_SENT_END[stream.state] < 0 or (waiting is not None and waiting.finishing):
            return
        size = len(data)
        if waiting is not None or (size and (size > stream.window or size > self.window or size > self.peer.frame)):
            self._wait(stream, data, size, ended)
        elif size or ended:
            self._write_data(stream, data, size, ended)

    def send_trailers(self, stream: Http2Stream, lines: list[bytes]) -> None:
        """The body is complete, and these follow it."""
        if ON_SENT_END[stream.state] < 0:
            return
        waiting = stream.waiting
        if waiting is None:
            self._finish_stream(stream, lines)
        elif not waiting.finishing:
            waiting.finishing = True
            waiting.trailers = lines
            waiting.size = sum(map(len, lines))
            self.backlog += waiting.size
            self.recount = True

    def reset(self, stream: Http2Stream, code: int) -> None:
        """End a stream at once; its receiver is not called."""
        if stream.state != CLOSED and not self.broken:
            self.out.append(write_reset(stream.name, code))
            self._abandon(stream, RESET_BY_US if stream.reading else ENDED)

    def keep(self, change: int) -> None:
        """So many bytes more of bodies are kept by the streams' users."""
        self.kept += change
        self.recount = True

    def dismiss(self, stream: Http2Stream) -> None:
        """Server: nobody wants what is left of the request; the response goes out all the same (RFC 9113, 8.1)."""
        if stream.reading and not self.broken:
            if stream.state == LOCAL:
                self.reset(stream, NO_ERROR)
            else:
                stream.curt = True

    # --- inside

    def _answer(self, frame: bytes) -> None:
        """Queue an answer to a frame. A peer that asks and does not read ends its connection."""
        self.control += 1
        if self.control > self.limits.control:
            raise ConnectionFault(ENHANCE_YOUR_CALM, Reason.HTTP2_CONTROL_FLOOD, "answers are not read")
        self.out.append(frame)

    def _finish_stream(self, stream: Http2Stream, trailers: list[bytes]) -> None:
        """The body is sent: its trailers end the stream."""
        add_block(self.out, stream.name, self._writer.trailers(trailers), True, self.peer.frame)
        self._ended(stream)

    def _ended(self, stream: Http2Stream) -> None:
        """END_STREAM is sent."""
        state = stream.state = ON_SENT_END[stream.state]
        if state == CLOSED:
            self._release(stream, ENDED)
        elif stream.curt:
            self.reset(stream, NO_ERROR)

    def _release(self, stream: Http2Stream, fate: int) -> None:
        """A stream is no more; how it ended is remembered for frames that come late."""
        stream.receiver = NOBODY  # who may know the stream
        if stream.waiting is not None:
            self._drop(stream, stream.waiting)
        id = stream.id
        if fate == RESET_BY_US:
            self._remember_reset(id)
        else:
            self._closed.append(id * 4 + fate)
        if self.streams.pop(id, None) is not None:
            self.role.released(stream)

    def _abandon(self, stream: Http2Stream, fate: int) -> None:
        """A stream is no more before its end: nobody will take what came."""
        stream.state = ON_RESET[stream.state]
        if stream.untaken and not self.broken:
            self._give_back(stream.untaken)
            stream.untaken = 0
        self._release(stream, fate)

    def _fail(self, stream: Http2Stream, fate: int, fault: Http2Fault) -> None:
        """The same, and its receiver is told."""
        receiver = stream.receiver
        self._abandon(stream, fate)
        receiver.failed(fault)

    def _remember(self, id: int, fate: int) -> None:
        self._closed.append(id * 4 + fate)

    def _remember_reset(self, id: int) -> None:
        if len(self._resets) >= REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]
        self._resets[id] = None

    def _fate(self, id: int) -> int:
        """What became of a stream that is not in `streams`."""
        if not id & 1 or id > self.last:
            return IDLE
        if id in self._resets:
            return RESET_BY_US
        for known in reversed(self._closed):
            if known // 4 == id:
                return known % 4
        return FORGOTTEN
