"""The client: bytes on a socket, and h11 to read what comes back."""

from __future__ import annotations

import socket
import time

import h11

from .answer import Answer
from .case import Step
from .closing import reset

TIMEOUT = 10.0


class Connection:
    """One connection to the proxy."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        reset(self.sock)

    def begin(self, step: Step, identity: str) -> None:
        """Send a step's request."""
        self.sock.sendall(request(step, identity))

    def ask(self, step: Step, identity: str) -> Answer:
        """Send a step's request and read its answer."""
        data = step.raw.encode("latin-1") if step.raw else request(step, identity)
        method = data.lstrip(b"\r\n").split(b" ", 1)[0].decode("latin-1")
        since = time.monotonic()
        # The request may be refused before all of it is sent: what the proxy says is to be read all the same.
        try:
            self.sock.sendall(data)
            if step.half_close:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self._answer(method if method.isalpha() else "GET", bool(step.then), since)

    def echoed(self, text: str) -> bool:
        """Whether what is sent comes back (after an upgrade)."""
        self.sock.sendall(text.encode())
        back = self.rest
        while len(back) < len(text):
            data = self.sock.recv(4096)
            if not data:
                break
            back += data
        self.rest = b""
        return back == text.encode()

    def _answer(self, method: str, upgrade: bool, since: float) -> Answer:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=128 * 1024)
        fields = [("host", "h"), *([("connection", "upgrade"), ("upgrade", "websocket")] if upgrade else [])]
        parser.send(h11.Request(method=method, target="/", headers=fields))
        parser.send(h11.EndOfMessage())
        if self.rest:
            parser.receive_data(self.rest)
        status, lines, interim, trailers, body, broken = 0, [], [], {}, b"", False
        seconds = 0.0
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                broken = True
                break
            if event is h11.NEED_DATA:
                try:
                    parser.receive_data(self.sock.recv(65536))
                except TimeoutError:
                    raise
                except OSError:
                    broken = True
                    break
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
                if event.status_code == 101:
                    status, lines = 101, read_lines(event)
                    break
            elif isinstance(event, h11.Response):
                seconds = time.monotonic() - since
                status, lines = event.status_code, read_lines(event)
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                trailers = {key.decode(): value.decode() for key, value in event.headers}
                break
            else:  # closed, or a protocol that h11 does not follow
                broken = event is not h11.PAUSED
                break
        self.rest = parser.trailing_data[0]
        return Answer(status, lines, body, interim, trailers, seconds, broken)


def read_lines(event: h11.Response | h11.InformationalResponse) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]


def request(step: Step, identity: str) -> bytes:
    """A request in good form. Its identifier finds its line in the access log; a step without one names none."""
    lines = [f"{step.send} HTTP/1.1", f"host: {step.host}", *step.headers]
    names = {line.partition(":")[0].lower() for line in step.headers}
    if identity and "x-request-id" not in names:
        lines.append(f"x-request-id: {identity}")
    body = step.body.encode() or bytes(step.size)
    if step.chunks:
        lines.append("transfer-encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk.encode()) for chunk in step.chunks)
        body += "\r\n".join(("0", *step.trailers, "", "")).encode()
    elif body and "content-length" not in names:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
