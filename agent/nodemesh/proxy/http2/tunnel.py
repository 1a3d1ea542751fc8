"""A stream that carries another protocol's bytes: a transport over a stream (RFC 9113 section 8.5, RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable

from ..transport import Buffer, Handler, Transport
from .codes import CANCEL
from .fault import Http2Fault
from .sending import Sending
from .stream import Http2Stream


class StreamTransport(Transport):
    """Both directions end by END_STREAM, each by itself, as a TCP connection's do by FIN; RST_STREAM is its RST."""

    __slots__ = ("stream", "_codec", "_flush", "_paused", "_held", "_held_end")

    def __init__(self, handler: Handler, codec: Sending, stream: Http2Stream, flush: Callable[[], None]) -> None:
        super().__init__(handler, accepted=False, established=True)
        self.stream = stream
        self._codec = codec
        self._flush = flush
        self._paused = False
        self._held = bytearray()  # came while paused: no more than the stream's window
        self._held_end = False

    # what the stream tells

    def received(self, data: bytes, ended: bool) -> None:
        """More of the peer's bytes, or their end."""
        if self.closed:
            self._codec.taken(self.stream, len(data))
        elif self._paused:
            if data:
                self._held += data
                self._codec.keep(len(data))
            self._held_end = self._held_end or ended
        else:
            self._deliver(data, ended)

    def drained(self) -> None:
        """The peer takes more."""
        self.pending = self.stream.pending
        if not self.pending and not self.closed:
            self.handler.drained()

    def failed(self, fault: Http2Fault) -> None:
        """The stream broke."""
        if not self.closed:
            self.closed = True
            self._take_held()
            self.handler.lost(ConnectionResetError(104, fault.text or "stream reset"))

    # what the handler calls

    def send(self, data: Buffer) -> None:
        if not self.closed:
            self._codec.send_data(self.stream, bytes(data), False)
            self.pending = self.stream.pending
            self._flush()

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        held = self._take_held()
        ended, self._held_end = self._held_end, False
        if held or ended:
            self._deliver(held, ended)
            self._flush()

    def end(self) -> None:
        if not self.closed:
            self._codec.send_data(self.stream, b"", True)
            self._flush()

    def close(self) -> None:
        """END_STREAM behind what waits; what the peer still sends is not wanted."""
        if not self.closed:
            self.closed = True
            self._take_held()
            self._codec.send_data(self.stream, b"", True)
            self._codec.dismiss(self.stream)
            self._flush()

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self._take_held()
            self._codec.reset(self.stream, CANCEL)
            self._flush()

    def _take_held(self) -> bytes:
        """What came while paused, which is not kept any longer."""
        held = bytes(self._held)
        self._held.clear()
        if held:
            self._codec.keep(-len(held))
        return held

    def _deliver(self, data: bytes, ended: bool) -> None:
        if data:
            self.handler.received(data)
            self._codec.taken(self.stream, len(data))
        if ended and not self.closed:
            self.handler.ended()
