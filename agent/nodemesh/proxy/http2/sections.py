"""Field sections as they come: HEADERS and its CONTINUATIONs, and what they are to their stream."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from .codes import (
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
)
from .decoder import Decoder, Section
from .fault import ConnectionFault, Http2Fault, StreamFault
from .frames import END_HEADERS, END_STREAM, PADDED, PRIORITIZED, write_reset
from .head import Head, read_partly, read_request, read_response, read_trailers, violation
from .limits import Http2Limits
from .receiver import NOBODY, Receiver
from .role import Role
from .sending import Sending
from .stream import (
    BREAK,
    BREAK_CLOSED,
    CLOSED,
    ENDED,
    FOR_HEADERS,
    ON_RECEIVED_END,
    REFUSE,
    REMOTE,
    RESET_BY_US,
    Http2Stream,
)

#: More streams than any bytes open at once.
NO_QUOTA: Final = 1 << 30


class Sections(Sending):
    """A connection that knows what a field section means. `block_since` is when one began that is not complete, else
    below 0: who has a clock ends a connection that stays so for longer than `Http2Limits.block_time`. `quota` is how
    many streams the peer may open before the rest of what came is left for the next `receive`."""

    __slots__ = ("block_since", "quota", "_decoder", "_block_id", "_block_ended", "_block", "_block_size")

    def __init__(self, role: Role, server: bool, limits: Http2Limits, now: float) -> None:
        super().__init__(role, server, limits, now)
        self.block_since = -1.0
        self.quota = NO_QUOTA
        self._decoder = Decoder(limits)
        self._block_id = 0  # of the stream whose section is not complete
        self._block_ended = False
        self._block: list[bytes] = []
        self._block_size = 0

    def _read_headers(self, id: int, flags: int, data: bytes, start: int, end: int) -> None:
        """HEADERS, of which `data` has the payload between `start` and `end`."""
        if not id:
            raise wrong("HEADERS on stream 0")
        if flags & PADDED:
            if start == end:
                raise sized("HEADERS without pad length")
            end -= data[start]
            start += 1
        if flags & PRIORITIZED:  # ignored (RFC 9113 section 5.3.2)
            start += 5
        if start > end:
            raise wrong("padding or priority longer than HEADERS")
        ended = flags & END_STREAM != 0
        if flags & END_HEADERS:
            self._read_section(id, data[start:end], ended)
            return
        self._block_id = id
        self._block_ended = ended
        self._block = []
        self._block_size = 0
        self.block_since = self.now
        self._add_to_block(data[start:end])

    def _read_continuation(self, flags: int, data: bytes) -> None:
        """More of the section that is not complete."""
        if not self._block_id:
            raise wrong("CONTINUATION of no field section")
        if self.now - self.block_since > self.limits.block_time:
            raise self._endless()
        self._add_to_block(data)
        if flags & END_HEADERS:
            block = b"".join(self._block)
            id = self._block_id
            self._block_id = 0
            self._block = []
            self._block_size = 0
            self.block_since = -1.0
            self._read_section(id, block, self._block_ended)

    def _add_to_block(self, data: bytes) -> None:
        """A section that never ends (CVE-2024-27919) is bounded in bytes, frames and time."""
        if not data:
            self.watch.empty()
        self._block.append(data)
        self._block_size += len(data)
        if self._block_size > self.limits.block or len(self._block) > 1 + self.limits.continuations:
            raise self._endless()

    def _endless(self) -> ConnectionFault:
        return ConnectionFault(ENHANCE_YOUR_CALM, Reason.HTTP2_CONTINUATION_FLOOD, "field section does not end")

    def _read_section(self, id: int, block: bytes, ended: bool) -> None:
        """A complete section. Its block is decoded in any case, for the table's sake."""
        stream = self.streams.get(id)
        if stream is not None:
            section = self._decoder.read(block)
            self.watch.filled += 1
            try:
                if ON_RECEIVED_END[stream.state] < 0:
                    raise StreamFault(STREAM_CLOSED, Reason.HTTP2_PROTOCOL_ERROR, "HEADERS after END_STREAM")
                if section.excess is not None:
                    raise StreamFault(ENHANCE_YOUR_CALM, section.excess, "field section too large")
                if stream.headed:
                    self._read_trailers(stream, section, ended)
                else:
                    self._read_answer(stream, section, ended)
            except StreamFault as error:
                self._refuse(stream, error.fault, ended)
        elif self.server and id > self.last and id & 1:
            self._open_stream(id, self._decoder.read(block), ended)
        else:
            action = FOR_HEADERS[self._fate(id)]
            if action == BREAK:
                raise wrong("HEADERS on a stream that cannot begin")
            if action == BREAK_CLOSED:
                raise ConnectionFault(STREAM_CLOSED, Reason.HTTP2_PROTOCOL_ERROR, "HEADERS on a closed stream")
            self._decoder.read(block)
            self._late(id, action == REFUSE, ended)

    def _late(self, id: int, refuse: bool, ended: bool) -> None:
        """A frame for a stream that is no more has come, and is done with."""
        self.watch.idle()
        if ended and id in self._resets:
            del self._resets[id]
            self._remember(id, ENDED)
        if refuse:
            self._answer(write_reset(id.to_bytes(4, "big"), STREAM_CLOSED))

    # --- a client's streams

    def _open_stream(self, id: int, section: Section, ended: bool) -> None:
        """Server: a new stream."""
        self.last = id
        self.quota -= 1
        if id > self._accepted:  # we said so by GOAWAY (RFC 9113 section 6.8)
            self._remember_reset(id)
            self._late(id, False, ended)
            return
        self.watch.streams += 1
        self.watch.filled += 1
        stream = Http2Stream(id, NOBODY, self.limits.window, self.peer.window, self.now)
        stream.headed = True
        if ended:
            stream.state = REMOTE
        if len(self.streams) >= self.limits.streams:
            fault = Http2Fault(REFUSED_STREAM, Reason.HTTP2_STREAM_REFUSED, "too many streams at once")
            self._refuse_new(stream, read_partly(section.fields), fault)
            return
        if section.excess is not None:
            fault = Http2Fault(ENHANCE_YOUR_CALM, section.excess, "field section too large")
            self._admit(stream).oversized(read_partly(section.fields), fault, ended)
            return
        try:
            head = section.head
            if head is None:
                head = section.head = read_request(section.fields, self.limits.connect)
                head.size = section.size
            if head.length > 0 and ended:
                raise violation("content-length without a body")
        except StreamFault as error:
            self._refuse_new(stream, read_partly(section.fields), error.fault)
            return
        stream.expected = head.length
        self._admit(stream).head(head, ended)

    def _admit(self, stream: Http2Stream) -> Receiver:
        """Find a new stream's user, who may have let it go by then."""
        self.streams[stream.id] = stream
        receiver = self.role.opened(stream)
        if stream.state != CLOSED:
            stream.receiver = receiver
        return stream.receiver

    def _refuse_new(self, stream: Http2Stream, head: Head, fault: Http2Fault) -> None:
        """A stream that is refused with its head. Too many of them are the client's fault once it knows our limit."""
        self._answer(write_reset(stream.name, fault.code))
        if stream.reading:
            self._remember_reset(stream.id)
        else:
            self._remember(stream.id, ENDED)
        self.role.refused(head, fault)
        if fault.code != REFUSED_STREAM or self.acknowledged:
            self.watch.reset(self.now)

    # --- any stream

    def _read_trailers(self, stream: Http2Stream, section: Section, ended: bool) -> None:
        """What comes behind a body. Raises StreamFault."""
        if not ended:
            raise violation("trailers without END_STREAM")
        if stream.expected > 0:
            raise violation("body shorter than content-length")
        trailers = section.trailers
        if trailers is None:
            trailers = section.trailers = read_trailers(section.fields)
        state = stream.state = ON_RECEIVED_END[stream.state]
        stream.receiver.trailers(trailers)
        if state == CLOSED:
            self._release(stream, ENDED)

    def _read_answer(self, stream: Http2Stream, section: Section, ended: bool) -> None:
        """Client: a response's head. Raises StreamFault."""
        head = section.head
        if head is None:
            head = section.head = read_response(section.fields)
        status = head.status
        if status < 200:
            stream.informed += 1
            if ended:
                raise violation("interim response with END_STREAM")
            if stream.informed > self.limits.informed:
                raise StreamFault(ENHANCE_YOUR_CALM, Reason.HTTP2_MESSAGING_VIOLATION, "too many interim responses")
            stream.receiver.informed(head)
            return
        stream.headed = True
        if stream.bodiless or status == 204 or status == 304:
            stream.expected = 0  # its content-length is of no body (RFC 9113 section 8.1.1)
        else:
            stream.expected = head.length
            if ended and head.length > 0:
                raise violation("content-length without a body")
        if not ended:
            stream.receiver.head(head, False)
            return
        state = stream.state = ON_RECEIVED_END[stream.state]
        stream.receiver.head(head, True)
        if state == CLOSED:
            self._release(stream, ENDED)

    def _refuse(self, stream: Http2Stream, fault: Http2Fault, ended: bool) -> None:
        """End a stream for what its peer did. To make us do so is as good as to reset it (CVE-2025-8671)."""
        self._answer(write_reset(stream.name, fault.code))
        self._fail(stream, ENDED if ended or not stream.reading else RESET_BY_US, fault)
        if self.server:
            self.watch.reset(self.now)


def wrong(text: str) -> ConnectionFault:
    return ConnectionFault(PROTOCOL_ERROR, Reason.HTTP2_PROTOCOL_ERROR, text)


def overdrawn() -> ConnectionFault:
    return ConnectionFault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, "more DATA than the window")


def sized(text: str) -> ConnectionFault:
    return ConnectionFault(FRAME_SIZE_ERROR, Reason.HTTP2_PROTOCOL_ERROR, f"wrong size: {text}")


def unpadded(data: bytes) -> bytes:
    """The payload of DATA without its padding. Raises ConnectionFault."""
    if not data:
        raise sized("DATA without pad length")
    if data[0] >= len(data):
        raise wrong("padding longer than DATA")
    return data[1 : len(data) - data[0]]
