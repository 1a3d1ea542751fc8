"""Pods on loopback that do as a case says, and remember what they got. They read HTTP by themselves, byte by byte."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from contextlib import suppress
from functools import partial

from .case import Script
from .closing import reset
from .got import Got
from .upstream_h2 import PREFACE, H2Server


class Upstreams:
    """All pods of a case. Each listens on its own loopback address, on one common port."""

    def __init__(self) -> None:
        with socket.create_server(("127.77.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.forget()

    def forget(self) -> None:
        self.got: dict[str, list[Got]] = defaultdict(list)
        self.accepted: dict[str, int] = defaultdict(int)
        self._scripts: dict[str, list[Script]] = {}
        self._over = threading.Event()

    def start(self, addresses: dict[str, str], scripts: dict[str, Script | list[Script]]) -> None:
        """Open the pods of a case."""
        for name, address in addresses.items():
            script = scripts.get(name, Script())
            self._scripts[name] = script if isinstance(script, list) else [script]
            if self._scripts[name][0].refuse:
                continue
            listener = socket.create_server((address, self.port), backlog=256)
            self._listeners.append(listener)
            self._spawn(self._accept, name, listener)

    def stop(self) -> None:
        """Close everything that the case has opened."""
        self._over.set()
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listeners.clear()
        self._threads.clear()
        self.forget()

    def total(self) -> int:
        with self.lock:
            return sum(map(len, self.got.values()))

    def _spawn(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, name: str, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self._open.add(sock)
                self.accepted[name] += 1
            self._spawn(self._serve, name, sock)

    def _serve(self, name: str, sock: socket.socket) -> None:
        with suppress(OSError):
            self._speak(name, sock)
        with self.lock:
            self._open.discard(sock)
        sock.close()

    def _speak(self, name: str, sock: socket.socket) -> None:
        """Serve what the connection opens with: either HTTP."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(sock)
        if stream.begins_with(PREFACE):
            H2Server(name, sock, partial(self._note, name), self._spawn, self._over).serve(stream.data)
            return
        while (got := stream.request()) is not None:
            if not self._answer(name, sock, got, self._note(name, got)):
                break

    def _note(self, name: str, got: Got) -> Script:
        """Take down what a pod has got; tells what it is to do with it."""
        with self.lock:
            self.got[name].append(got)
            scripts = self._scripts[name]
            return scripts[min(len(self.got[name]), len(scripts)) - 1]

    def _answer(self, name: str, sock: socket.socket, got: Got, script: Script) -> bool:
        """Answer one request; tells whether the connection goes on."""
        if script.hang:
            self._over.wait(30)
            return False
        if script.delay:
            self._over.wait(script.delay)
        if script.reset:
            reset(sock)
            return False
        if script.close:
            return False
        if script.raw:
            sock.sendall(script.raw.encode("latin-1"))
            return False
        for status in script.interim:
            sock.sendall(b"HTTP/1.1 %d Interim\r\nx-interim: yes\r\n\r\n" % status)
        sock.sendall(response(name, got, script))
        if script.cut or script.leave:
            return False
        if script.echo:
            while data := sock.recv(4096):
                sock.sendall(data)
            return False
        return True


def response(name: str, got: Got, script: Script) -> bytes:
    """The answer's bytes."""
    body = script.body.encode()
    names = {line.partition(":")[0].lower() for line in script.headers}
    lines = [f"HTTP/1.1 {script.status} Scripted", f"x-pod: {name}", *script.headers]
    bodiless = script.status in (101, 204, 304)
    if script.trailers:
        lines.append("transfer-encoding: chunked")
    elif not bodiless and "content-length" not in names and "transfer-encoding" not in names:
        lines.append(f"content-length: {len(body) + (10 if script.cut else 0)}")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    if script.trailers:
        end = "".join(f"{line}\r\n" for line in script.trailers).encode()
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n" + end + b"\r\n"
    return head if bodiless or got.method == "HEAD" else head + body


class Stream:
    """Requests out of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the proxy has closed")
        self.data += data

    def begins_with(self, start: bytes) -> bool:
        """Whether the connection opens so. Nothing is taken."""
        while len(self.data) < len(start) and start.startswith(self.data):
            self._more()
        return self.data.startswith(start)

    def _until(self, end: bytes) -> bytes:
        while end not in self.data:
            self._more()
        taken, _, self.data = self.data.partition(end)
        return taken

    def _exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            self._more()
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def request(self) -> Got | None:
        """The next request, None when there is none."""
        try:
            first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        except OSError:
            return None
        method, target, _ = first.split(" ")
        got = Got(time.monotonic(), method, target, lines, b"")
        if "100-continue" in (got.field("expect") or ""):
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if got.field("transfer-encoding") is not None:
            body = b""
            while size := int(self._until(b"\r\n").partition(b";")[0], 16):
                body += self._exactly(size)
                self._exactly(2)
            while line := self._until(b"\r\n"):
                lines.append(f"trailer-{line.decode('latin-1')}")
            return got._replace(body=body)
        return got._replace(body=self._exactly(int(got.field("content-length") or 0)))
