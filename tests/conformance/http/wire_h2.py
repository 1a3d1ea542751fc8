"""The client over HTTP/2: a connection of python-hyper's h2 that is asked as one of HTTP/1.1 is."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from .answer import Answer
from .case import Step
from .closing import ended

TIMEOUT = 10.0

#: What belongs to an HTTP/1.1 connection and has no place in HTTP/2 (RFC 9113 section 8.2.2).
CONNECTION_FIELDS = frozenset({"connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding"})

#: The greatest head that is taken; h2 would take 64 KiB.
LARGEST_HEAD = 1 << 20

Fields = list[tuple[str, str]]


def split_lines(lines: Iterable[str]) -> Fields:
    """Field lines as HTTP/2 has them: lower case, without the connection's own, `te` for trailers alone."""
    fields = []
    for line in lines:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    named = {token.strip().lower() for name, value in fields if name == "connection" for token in value.split(",")}
    dropped = CONNECTION_FIELDS | named | {"te"}
    kept = [field for field in fields if field[0] not in dropped]
    wants_trailers = any(name == "te" and "trailers" in value for name, value in fields)
    return [*kept, ("te", "trailers")] if wants_trailers else kept


def read_fields(raw: Iterable[tuple[bytes, bytes]]) -> Fields:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


class H2Connection:
    """One connection to the proxy, with prior knowledge."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(client_side=True, header_encoding=None, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        settings = {h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEAD}
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.decoder.max_header_list_size = LARGEST_HEAD
        self.h2.initiate_connection()
        self.stream = 0
        self.early: list[h2.events.Event] = []  # read while a window was shut
        self._flush()

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Take the request back; the connection stays, as a client's of HTTP/2 does."""
        self.h2.reset_stream(self.stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()
        self.sock.settimeout(0.2)
        ended(self.sock)
        self.sock.close()

    def begin(self, step: Step, identity: str) -> None:
        """Send a step's request."""
        self.stream = self.h2.get_next_available_stream_id()
        fields = request_fields(step, identity)
        body = step.body.encode() or bytes(step.size)
        pieces = [chunk.encode() for chunk in step.chunks] or ([body] if body else [])
        upgrade = is_upgrade(step)
        bare = not pieces and not step.chunks and not step.trailers and not upgrade
        self.h2.send_headers(self.stream, fields, end_stream=bare)
        self._flush()
        if bare or upgrade:
            return
        for number, piece in enumerate(pieces):
            self._send(piece, number == len(pieces) - 1 and not step.trailers)
        if step.trailers:
            self.h2.send_headers(self.stream, split_lines(step.trailers), end_stream=True)
        elif not pieces:
            self.h2.end_stream(self.stream)
        self._flush()

    def ask(self, step: Step, identity: str) -> Answer:
        """Send a step's request and read its answer."""
        since = time.monotonic()
        # The request may be refused before all of it is sent: what the proxy says is to be read all the same.
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            self.begin(step, identity)
        return self._answer(bool(step.then), since)

    def echoed(self, text: str) -> bool:
        """Whether what is sent comes back (through a tunnel)."""
        self.h2.send_data(self.stream, text.encode())
        self._flush()
        back = b""
        while len(back) < len(text):
            for event in self._events():
                if isinstance(event, h2.events.DataReceived):
                    back += event.data
                elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    return False
        return back == text.encode()

    def _send(self, data: bytes, last: bool) -> None:
        while data:
            room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                self._wait_for_room()
                continue
            piece, data = data[:room], data[room:]
            self.h2.send_data(self.stream, piece, end_stream=last and not data)
            self._flush()

    def _wait_for_room(self) -> None:
        """Read until a window is open again. What else comes is for `_answer`."""
        self.early = [*self.early, *self._events()]
        if any(isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded)) for event in self.early):
            raise OSError("the stream is over")

    def _events(self) -> list[h2.events.Event]:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the proxy has closed")
        events = self.h2.receive_data(data)
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                with contextlib.suppress(h2.exceptions.ProtocolError):  # the stream is over
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self._flush()
        return events

    def _flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def _answer(self, tunnel: bool, since: float) -> Answer:
        status, lines, interim, trailers, body, broken = 0, Fields(), [], {}, b"", False
        seconds, over = 0.0, False
        pending, self.early = self.early, []
        while not over:
            try:
                events, pending = pending or self._events(), []
            except TimeoutError:
                raise
            except (OSError, h2.exceptions.ProtocolError):
                broken = True
                break
            for event in events:
                if getattr(event, "stream_id", self.stream) not in (self.stream, None):
                    continue
                if isinstance(event, h2.events.InformationalResponseReceived):
                    interim.append(int(dict(event.headers)[b":status"]))
                elif isinstance(event, h2.events.ResponseReceived):
                    seconds = time.monotonic() - since
                    fields = read_fields(event.headers)
                    status = int(fields[0][1])
                    lines = [field for field in fields if not field[0].startswith(":")]
                    over = over or (tunnel and status == 200)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.TrailersReceived):
                    trailers = dict(read_fields(event.headers))
                elif isinstance(event, h2.events.StreamEnded):
                    over = True
                elif isinstance(event, h2.events.StreamReset):
                    broken = not over  # after the whole answer: the rest of the request is not wanted
                    over = True
                elif isinstance(event, h2.events.ConnectionTerminated) and not status:
                    over = broken = True
        return Answer(status, lines, body, interim, trailers, seconds, broken)


def is_upgrade(step: Step) -> bool:
    """Whether HTTP/1.1 would change to WebSocket."""
    said = {name.strip(): value.strip() for name, _, value in (line.lower().partition(":") for line in step.headers)}
    return said.get("upgrade") == "websocket" and "upgrade" in said.get("connection", "")


def request_fields(step: Step, identity: str) -> Fields:
    """A request's head. An upgrade to WebSocket is an extended CONNECT (RFC 8441)."""
    method, _, target = step.send.partition(" ")
    upgrade = is_upgrade(step)
    start = [(":method", "CONNECT" if upgrade else method), (":scheme", "http"), (":authority", step.host),
             (":path", target)]  # fmt: skip
    if upgrade:
        start.insert(1, (":protocol", "websocket"))
    fields = split_lines(step.headers)
    names = {name for name, _ in fields}
    if identity and "x-request-id" not in names:
        fields.append(("x-request-id", identity))
    size = len(step.body.encode()) or step.size
    if size and not step.chunks and "content-length" not in names:
        fields.append(("content-length", str(size)))
    return [*start, *fields]
