"""A pod's end of a connection that speaks HTTP/2, by python-hyper's h2: every stream is answered by its script."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from .case import Script
from .got import Got
from .wire_h2 import LARGEST_HEAD, read_fields, split_lines

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: Takes down a request, and says what is to be done with it.
Noted = Callable[[Got], Script]

#: Starts a thread.
Spawn = Callable[..., None]


class Exchange:
    """One stream: the request as far as it has come, and what comes after it where it is a tunnel."""

    def __init__(self, number: int, fields: list[tuple[str, str]]) -> None:
        pseudo = {name: value for name, value in fields if name.startswith(":")}
        self.number = number
        self.method = pseudo[":method"]
        self.target = pseudo.get(":path", "")
        self.tunnel = ":protocol" in pseudo
        self.lines = [f"host: {pseudo.get(':authority', '')}"]
        if self.tunnel:
            self.lines.append(f"upgrade: {pseudo[':protocol']}")
        self.lines += [f"{name}: {value}" for name, value in fields if not name.startswith(":")]
        self.body = b""
        self.data: queue.Queue[bytes] = queue.Queue()
        self.room = threading.Event()
        self.reset = False

    def end(self) -> None:
        """Nobody is there any more."""
        self.reset = True
        self.room.set()
        self.data.put(b"")

    def got(self) -> Got:
        return Got(time.monotonic(), self.method, self.target, self.lines, self.body, "HTTP/2")


class H2Server:
    """One connection of a pod."""

    def __init__(self, pod: str, sock: socket.socket, noted: Noted, spawn: Spawn, over: threading.Event) -> None:
        self.pod = pod
        self.sock = sock
        self.noted = noted
        self.spawn = spawn
        self.over = over
        self.lock = threading.RLock()
        self.streams: dict[int, Exchange] = {}
        config = h2.config.H2Configuration(client_side=False, header_encoding=None, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: LARGEST_HEAD,
            },
        )
        self.h2.decoder.max_header_list_size = LARGEST_HEAD

    def serve(self, data: bytes) -> None:
        """Until the connection ends."""
        self.h2.initiate_connection()
        self._flush()
        try:
            while data:
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self._heard(event)
                    self._flush()
                data = self.sock.recv(65536)
        finally:
            for exchange in self.streams.values():
                exchange.end()

    def _heard(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            exchange = self.streams[event.stream_id] = Exchange(event.stream_id, read_fields(event.headers))
            if any(line.lower() == "expect: 100-continue" for line in exchange.lines):
                self.h2.send_headers(event.stream_id, [(":status", "100")])
            if exchange.tunnel:
                self.spawn(self._answer, exchange)
            return
        found = self.streams.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.WindowUpdated) and not event.stream_id:
            for each in self.streams.values():
                each.room.set()
        if found is None:
            return
        if isinstance(event, h2.events.DataReceived):
            found.body += event.data
            found.data.put(event.data)
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            found.lines += [f"trailer-{name}: {value}" for name, value in read_fields(event.headers)]
        elif isinstance(event, h2.events.StreamEnded):
            if found.tunnel:
                found.data.put(b"")
            else:
                self.spawn(self._answer, found)
        elif isinstance(event, h2.events.StreamReset):
            found.end()
        elif isinstance(event, h2.events.WindowUpdated):
            found.room.set()

    def _answer(self, exchange: Exchange) -> None:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            self._carry_out(exchange, self.noted(exchange.got()))

    def _carry_out(self, exchange: Exchange, script: Script) -> None:
        if script.hang:
            self.over.wait(30)
            return
        if script.delay:
            self.over.wait(script.delay)
        if script.reset or script.close:
            self._end(abort=script.reset)
            return
        if script.raw:
            with self.lock:
                self.sock.sendall(script.raw.encode("latin-1"))
            self._end(abort=False)
            return
        number = exchange.number
        for status in script.interim:
            self._send_head(number, [(":status", str(status)), ("x-interim", "yes")], False)
        if script.echo:
            self._send_head(number, self._head(exchange, script), False)
            while data := exchange.data.get(timeout=30):
                self._send_data(exchange, data, False)
            return
        body = script.body.encode()
        bodiless = script.status in (204, 304) or exchange.method == "HEAD"
        bare = (bodiless or not body) and not script.trailers and not script.cut
        # Who leaves after an answer does so before another one on the connection has begun.
        with self.lock if script.leave else contextlib.nullcontext():
            self._send_head(number, self._head(exchange, script), bare)
            if not bare:
                if body and not bodiless:
                    self._send_data(exchange, body, not script.trailers and not script.cut)
                if script.trailers:
                    self._send_head(number, split_lines(script.trailers), True)
            if script.cut or script.leave:
                self._end(abort=False)

    def _head(self, exchange: Exchange, script: Script) -> list[tuple[str, str]]:
        status = 200 if exchange.tunnel and script.status == 101 else script.status
        fields = [(":status", str(status)), ("x-pod", self.pod), *split_lines(script.headers)]
        framed = script.trailers or status in (101, 204, 304) or script.echo
        if not framed and "content-length" not in dict(fields):
            fields.append(("content-length", str(len(script.body.encode()) + (10 if script.cut else 0))))
        return fields

    def _send_head(self, number: int, fields: list[tuple[str, str]], last: bool) -> None:
        with self.lock:
            self.h2.send_headers(number, fields, end_stream=last)
            self._flush()

    def _send_data(self, exchange: Exchange, data: bytes, last: bool) -> None:
        while data and not exchange.reset:
            with self.lock:
                exchange.room.clear()
                room = min(self.h2.local_flow_control_window(exchange.number), self.h2.max_outbound_frame_size)
                piece, data = data[: max(room, 0)], data[max(room, 0) :]
                if piece:
                    self.h2.send_data(exchange.number, piece, end_stream=last and not data)
                    self._flush()
            if data and not piece:
                exchange.room.wait(10)

    def _end(self, abort: bool) -> None:
        with contextlib.suppress(OSError):
            if abort:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                self.sock.shutdown(socket.SHUT_RD)  # its reader closes it
            else:
                self.sock.shutdown(socket.SHUT_RDWR)

    def _flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)
