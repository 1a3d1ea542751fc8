"""A connection of either side: bytes in, calls to its role and the streams' receivers, bytes out (RFC 9113)."""

from __future__ import annotations

from struct import Struct
from typing import Final

from ...reasons import Reason
from .codes import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    name_of,
)
from .fault import ConnectionFault, Http2Fault, remote_reset
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    MAX_31,
    MAX_FRAME,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    WINDOW_UPDATE,
    write_ping,
)
from .head import violation
from .limits import Http2Limits
from .role import Role
from .sections import Sections, overdrawn, sized, unpadded, wrong
from .stream import (
    BREAK,
    CLOSED,
    ENDED,
    FOR_DATA,
    FOR_OTHERS,
    ON_RECEIVED_END,
    REFUSE,
    RESET_BY_PEER,
    Http2Stream,
)
from .watch import PREMATURE

SETTING_SIZE: Final = 6

#: A field section in one frame, at the end of its stream.
WHOLE: Final = END_HEADERS | END_STREAM

#: A frame's header: its length in two pieces, type, flags, and stream (RFC 9113 section 4.1).
unpack_header: Final = Struct(">HBBBI").unpack_from

#: Ids beyond are rare, and have, or may have, the bit that means nothing.
LOW_ID: Final = (1 << 30) - 1


class Http2Connection(Sections):
    """One connection. `receive` is given what came and the time; afterwards, as after any call that sends, `outgoing`
    has what to send. `held` are the bytes of the peer that are kept because something is not complete yet."""

    __slots__ = ("held", "_held", "_need", "_greeted")

    def __init__(self, role: Role, server: bool, limits: Http2Limits, now: float) -> None:
        super().__init__(role, server, limits, now)
        self.held = 0
        self._held = bytearray()  # the start of a frame
        self._need = 0  # bytes of it before it is looked at again
        self._greeted = not server  # the client's preface has come

    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the peer, cut anywhere."""
        self.now = now
        if self._held:
            self._held += data
            if len(self._held) < self._need or self.quota <= 0:
                self._count_held()
                return
            data = bytes(self._held)
            self._held = bytearray()
        if not self.broken:
            try:
                self._read(data)
            except ConnectionFault as error:
                self._held = bytearray()
                self._break(error.fault)
        if self._held or self._block_id or self.held:
            self._count_held()

    def _count_held(self) -> None:
        held = len(self._held) + self._block_size
        if held != self.held:
            self.held = held
            self.recount = True

    @property
    def stalled(self) -> bool:
        """Whether `quota` is used up before what came is: `receive`, with nothing more, goes on."""
        return self.quota <= 0 and len(self._held) >= self._need > 0

    def _read(self, data: bytes) -> None:
        """Read all frames that are complete. Raises ConnectionFault."""
        position = 0
        size = len(data)
        if not self._greeted:
            position = self._greet(data)
        need = HEADER_SIZE if self._greeted else len(PREFACE)
        last = size - HEADER_SIZE if self._greeted else -1
        longest = MAX_FRAME if self.settled and not self._block_id else -1  # what needs no second look
        high: int
        low: int
        kind: int
        flags: int
        id: int
        while True:
            if position > last:
                break
            high, low, kind, flags, id = unpack_header(data, position)
            length = high * 256 + low
            if id > LOW_ID:
                id &= MAX_31
            if length > longest:
                self._expect(kind, flags, id, length)
            start = position + HEADER_SIZE
            end = start + length
            if end > size:
                need = HEADER_SIZE + length
                break
            position = end
            if kind == DATA:
                self._read_data(id, flags, data[start:end])
            elif kind == HEADERS:
                if self.quota <= 0 and id > self.last:  # a stream for a later turn
                    position = start - HEADER_SIZE
                    need = HEADER_SIZE + length
                    break
                if flags == WHOLE and id:
                    self._read_section(id, data[start:end], True)
                elif flags == END_HEADERS and id:
                    self._read_section(id, data[start:end], False)
                else:
                    self._read_headers(id, flags, data, start, end)
                    longest = MAX_FRAME if not self._block_id else -1
            else:
                self._read_other(kind, flags, id, data[start:end])
                longest = MAX_FRAME if self.settled and not self._block_id else -1
            if self.broken:
                return
        if position < size:
            self._held += data[position:]
            self._need = need

    def _greet(self, data: bytes) -> int:
        """Where the frames begin."""
        known = data[: len(PREFACE)]
        if not PREFACE.startswith(known):
            raise wrong("not HTTP/2's preface")
        self._greeted = len(known) == len(PREFACE)
        return len(PREFACE) if self._greeted else 0

    def _expect(self, kind: int, flags: int, id: int, length: int) -> None:
        """What a frame's header alone tells, where it is not the common one. Raises ConnectionFault."""
        if length > MAX_FRAME:
            raise sized("frame longer than MAX_FRAME_SIZE")
        if self._block_id and (kind != CONTINUATION or id != self._block_id):
            raise wrong("another frame inside a field section")
        if not self.settled and (kind != SETTINGS or flags & ACK):
            raise wrong("SETTINGS expected")

    def _read_other(self, kind: int, flags: int, id: int, data: bytes) -> None:
        """One frame that is not DATA or HEADERS, with its payload."""
        if kind == WINDOW_UPDATE:
            self._read_window_update(id, data)
        elif kind == PING:
            self._read_ping(id, flags, data)
        elif kind == SETTINGS:
            self._read_settings(id, flags, data)
        elif kind == RST_STREAM:
            self._read_reset(id, data)
        elif kind == CONTINUATION:
            self._read_continuation(flags, data)
        elif kind == GOAWAY:
            self._read_goaway(id, data)
        elif kind == PUSH_PROMISE:
            raise wrong("PUSH_PROMISE, which is not enabled")
        else:
            if kind == PRIORITY:
                self._read_priority(id, len(data))
            self.watch.idle()  # RFC 9113 section 4.1 and 5.5 on unknown types

    # --- bodies

    def _read_data(self, id: int, flags: int, data: bytes) -> None:
        """DATA, with its payload."""
        size = length = len(data)
        if flags > END_STREAM:
            if flags & PADDED and id in self.streams:
                data = unpadded(data)
                length = len(data)
            flags &= END_STREAM
        ended = flags == END_STREAM
        stream = self.streams.get(id)
        if stream is None:
            self._read_late_data(id, size, ended)
            return
        self.credit -= size
        if self.credit < 0:
            raise overdrawn()
        if length:
            self.watch.filled += 1
        elif not ended:
            self.watch.empty()
        state = ON_RECEIVED_END[stream.state]
        if state < 0 or size > stream.credit or stream.expected >= 0:
            fault = fault_of(stream, size, length, ended)
            if fault is not None:
                self._give_back(size)
                self._refuse(stream, fault, ended)
                return
        stream.untaken += size
        if ended:
            stream.state = state
        else:
            stream.credit -= size
        if stream.receiver.data(data, ended):
            if ended and stream.untaken == size:  # there is no more to come in this stream
                stream.untaken = 0
                self.owed += size
                if self.owed >= self._worth_saying:
                    self._give_back(0)
            else:
                self.taken(stream, size)
        elif size > length:
            self.taken(stream, size - length)
        if ended and state == CLOSED:
            self._release(stream, ENDED)

    def _read_late_data(self, id: int, size: int, ended: bool) -> None:
        """DATA for a stream that is no more."""
        action = FOR_DATA[self._fate(id)]
        if action == BREAK:
            raise wrong("DATA on a stream that has not begun")
        self.credit -= size
        if self.credit < 0:
            raise overdrawn()
        self._give_back(size)
        self._late(id, action == REFUSE, ended)

    def _read_reset(self, id: int, data: bytes) -> None:
        if len(data) != 4:
            raise sized("RST_STREAM")
        stream = self.streams.get(id)
        if stream is None:
            self._find_closed(id, "RST_STREAM")
            self._late(id, refuse=False, ended=True)
            return
        self._fail(stream, RESET_BY_PEER, remote_reset(self.server, int.from_bytes(data, "big")))
        if self.server and not stream.answered and self.now - stream.since < PREMATURE:
            self.watch.reset(self.now)

    # --- windows and settings

    def _read_window_update(self, id: int, data: bytes) -> None:
        if len(data) != 4:
            raise sized("WINDOW_UPDATE")
        increment = int.from_bytes(data, "big") & MAX_31
        self.watch.updated()
        if not id:
            if not increment:
                raise wrong("WINDOW_UPDATE of 0")
            self.window += increment
            if self.window > MAX_31:
                raise ConnectionFault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, "window over 2^31-1")
            self._unblock()
            return
        stream = self.streams.get(id)
        if stream is None:
            self._find_closed(id, "WINDOW_UPDATE")
            self.watch.idle()
            return
        stream.window += increment
        if not increment:
            self._refuse(stream, Http2Fault(PROTOCOL_ERROR, Reason.HTTP2_PROTOCOL_ERROR, "WINDOW_UPDATE of 0"), False)
        elif stream.window > MAX_31:
            text = "stream's window over 2^31-1"
            self._refuse(stream, Http2Fault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, text), False)
        elif stream.waiting is not None:
            self._resume(stream, MAX_31)

    def _read_settings(self, id: int, flags: int, data: bytes) -> None:
        if id:
            raise wrong("SETTINGS on a stream")
        count = len(data) // SETTING_SIZE
        if len(data) != count * SETTING_SIZE or (flags & ACK and data):
            raise sized("SETTINGS")
        self.watch.configured(self.now)
        if flags & ACK:
            self.acknowledged = True
            return
        if count > self.limits.settings:
            raise ConnectionFault(ENHANCE_YOUR_CALM, Reason.HTTP2_CONTROL_FLOOD, "too many settings")
        window = self.peer.window
        for start in range(0, len(data), SETTING_SIZE):
            key = data[start] << 8 | data[start + 1]
            self.peer.take(key, int.from_bytes(data[start + 2 : start + 6], "big"), not self.server)
        self.settled = True
        if not self.leaving:
            self.most = self.peer.streams
        self._answer(SETTINGS_ACK)
        self._writer.resize(self.peer.table)
        if self.peer.window != window:
            self._move_windows(self.peer.window - window)
        self.role.settled()

    def _move_windows(self, change: int) -> None:
        """INITIAL_WINDOW_SIZE has changed for all streams (RFC 9113 section 6.9.2)."""
        streams = list(self.streams.values())
        for stream in streams:
            stream.window += change
            if stream.window > MAX_31:
                raise ConnectionFault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, "window over 2^31-1")
        if change > 0:
            for stream in streams:
                self._resume(stream, MAX_31)

    # --- the rest

    def _read_ping(self, id: int, flags: int, data: bytes) -> None:
        if id:
            raise wrong("PING on a stream")
        if len(data) != 8:
            raise sized("PING")
        self.watch.asked(self.now)
        if flags & ACK:
            self.role.ponged(data)
        else:
            self._answer(write_ping(data, ACK))

    def _read_goaway(self, id: int, data: bytes) -> None:
        if id:
            raise wrong("GOAWAY on a stream")
        if len(data) < 8:
            raise sized("GOAWAY")
        self.watch.asked(self.now)
        last = int.from_bytes(data[:4], "big") & MAX_31
        code = int.from_bytes(data[4:8], "big")
        fault = Http2Fault(
            code, Reason.UPSTREAM_REFUSED_STREAM, f"GOAWAY {name_of(code)}", remote=True, unprocessed=True
        )
        self._leave()
        if not self.server:  # a client's word is only a hint: it opens all streams itself
            for stream in [stream for stream in self.streams.values() if stream.id > last]:
                if stream.id in self.streams:
                    self._fail(stream, ENDED, fault)
        self.role.leaving(fault)

    def _read_priority(self, id: int, size: int) -> None:
        """Priority is of no use to anyone (RFC 9113 section 5.3.2): only its form counts."""
        if not id:
            raise wrong("PRIORITY on stream 0")
        if size != 5:
            stream = self.streams.get(id)
            if stream is None:
                raise sized("PRIORITY")
            self._refuse(stream, Http2Fault(FRAME_SIZE_ERROR, Reason.HTTP2_PROTOCOL_ERROR, "PRIORITY"), False)

    def _find_closed(self, id: int, text: str) -> None:
        """A stream that is not known must have been. Raises ConnectionFault."""
        if FOR_OTHERS[self._fate(id)] == BREAK:
            raise wrong(f"{text} on a stream that has not begun")


def fault_of(stream: Http2Stream, size: int, length: int, ended: bool) -> Http2Fault | None:
    """What is wrong with DATA of `size` bytes, of which `length` are of the body; counts them if nothing is."""
    if ON_RECEIVED_END[stream.state] < 0:
        return Http2Fault(STREAM_CLOSED, Reason.HTTP2_PROTOCOL_ERROR, "DATA after END_STREAM")
    if size > stream.credit:
        return Http2Fault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, "more DATA than the stream's window")
    if not stream.headed:
        return violation("DATA before the response's head").fault
    if stream.expected >= 0:
        stream.expected -= length
        if stream.expected < 0 or (ended and stream.expected):
            return violation("body and content-length differ").fault
    return None
