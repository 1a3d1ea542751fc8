"""The client of suite `relay`, run as a program: one load through a proxy, and what it saw as JSON.

It takes one argument, `Order` as JSON. All connections are served from one thread by one epoll."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import select
import socket
import ssl
import sys
import time
from collections import deque

from . import relay_bytes
from .relay_upstream import ACCOUNT, ADDRESS, COMPARE, ECHO, NUMBER, SWALLOW

EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
MESSAGE = 64  # bytes of a short talk
PATIENCE = 10.0  # seconds for what is under way when the time is over
ANSWER = 4096


@dataclasses.dataclass
class Order:
    """What to do: `kind` is bulk, compare, short or pingpong."""

    kind: str
    port: int
    upstream: int  # its port, to ask what came
    connections: int
    seconds: float
    size: int = 0  # of one write
    authority: str = ""  # file; with it, over TLS
    resume: bool = False  # TLS sessions


@dataclasses.dataclass
class Seen:
    """`count` is bytes of bulk, connections of short, round trips of pingpong; `mistakes` are sentences."""

    count: int = 0
    seconds: float = 0.0
    resumed: int = 0
    mistakes: list[str] = dataclasses.field(default_factory=list)


class Load:
    """Connections in one epoll; what each does is a subclass's."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.seen = Seen()
        self.poller = select.epoll()
        self.context: ssl.SSLContext | None = None
        self.sessions: list[ssl.SSLSession] = []
        if order.authority:
            self.context = ssl.create_default_context(cafile=order.authority)

    def connect(self) -> socket.socket:
        """A blocking connection, its TLS handshake done."""
        sock = socket.create_connection(("127.0.0.1", self.order.port), PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            return self.context.wrap_socket(sock, server_hostname="store.example")
        return sock

    def wrong(self, text: str) -> None:
        if len(self.seen.mistakes) < 5:
            self.seen.mistakes.append(text)


class Bulk(Load):
    """Writes of one size, one connection after the other as they take it; then the server is asked what came."""

    def run(self) -> None:
        order, wish = self.order, COMPARE if self.order.kind == "compare" else SWALLOW
        sent: dict[int, int] = {}
        socks = {}
        first = random.getrandbits(56)
        for number in range(first, first + order.connections):
            sock = self.connect()
            sock.sendall(wish + number.to_bytes(NUMBER))
            sock.setblocking(False)
            socks[sock.fileno()], sent[sock.fileno()] = sock, 0
            self.poller.register(sock.fileno(), select.EPOLLOUT)
        began = time.monotonic()
        end = began + order.seconds
        while time.monotonic() < end:
            for fd, _ in self.poller.poll(0.1):
                try:
                    sent[fd] += socks[fd].send(relay_bytes.at(sent[fd], order.size))
                except (BlockingIOError, ssl.SSLWantWriteError):
                    pass
                except OSError as error:
                    self.wrong(f"a connection broke: {error!r}")
                    self.poller.unregister(fd)
        for number, (fd, sock) in enumerate(socks.items(), first):
            self.finish(number, sock, sent[fd])
        self.seen.seconds = time.monotonic() - began
        self.seen.count = sum(sent.values())
        for sock in socks.values():
            sock.close()

    def finish(self, number: int, sock: socket.socket, sent: int) -> None:
        """End a connection and compare what the server says came over it."""
        try:
            if isinstance(sock, ssl.SSLSocket):
                close_notify(sock)
            else:
                sock.shutdown(socket.SHUT_WR)
            came, wrong = self.account(number)
        except (OSError, TimeoutError) as error:
            self.wrong(f"a connection with {sent} bytes did not end: {error!r}")
            return
        if wrong >= 0:
            self.wrong(f"wrong bytes came after byte {wrong}")
        if came != sent:
            self.wrong(f"{came} of {sent} bytes came")

    def account(self, number: int) -> tuple[int, int]:
        """What the server says of a connection, asked past the proxy: its bytes, and where they were wrong (or -1)."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with socket.create_connection((ADDRESS, self.order.upstream), PATIENCE) as asking:
                asking.sendall(ACCOUNT + number.to_bytes(NUMBER))
                told = json.loads(asking.recv(ANSWER))
            if told is not None:
                return told["bytes"], told["wrong"]
            time.sleep(0.005)
        raise TimeoutError("the server has not seen its end")


def close_notify(sock: ssl.SSLSocket) -> None:
    """Say that nothing will follow, and do not wait for the peer's own."""
    with contextlib.suppress(ssl.SSLWantReadError):
        while True:
            try:
                sock.unwrap()
                return
            except ssl.SSLWantWriteError:
                select.select([], [sock], [], PATIENCE)


class Short(Load):
    """Connections of one question and its echo each, so many at a time."""

    def run(self) -> None:
        began = time.monotonic()
        end = began + self.order.seconds
        talks: dict[int, Talk] = {}
        for _ in range(self.order.connections):
            self.start(talks)
        while talks:
            now = time.monotonic()
            if now > end + PATIENCE:
                self.wrong(f"{len(talks)} connections were not answered")
                break
            for fd, _ in self.poller.poll(0.1):
                talk = talks[fd]
                if talk.step():
                    continue
                del talks[fd]
                if talk.error:
                    self.wrong(talk.error)
                else:
                    self.seen.count += 1
                if time.monotonic() < end:
                    self.start(talks)
        self.seen.seconds = time.monotonic() - began

    def start(self, talks: dict[int, Talk]) -> None:
        talk = Talk(self)
        talks[talk.fd] = talk
        self.poller.register(talk.fd, EDGE)


class Talk:
    """One short connection: connect, handshake, question, echo, close."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.error = ""
        sock = socket.create_connection(("127.0.0.1", load.order.port), PATIENCE)  # done at once on loopback
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        if load.context is not None:
            session = load.sessions[-1] if load.order.resume and load.sessions else None
            self.sock = load.context.wrap_socket(
                sock, server_hostname="store.example", do_handshake_on_connect=False, session=session
            )
        self.fd = self.sock.fileno()
        self._message = ECHO + bytes(relay_bytes.at(load.seen.count * MESSAGE, MESSAGE))
        self._stage = 0
        self._got = b""

    def step(self) -> bool:
        """Go on as far as possible; False at the end."""
        sock = self.sock
        try:
            if self._stage == 0:
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
                self._stage = 1
            if self._stage == 1:
                sock.send(self._message)
                self._stage = 2
            self._got += (data := sock.recv(ANSWER))
            if data and len(self._got) < MESSAGE:
                return True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError as error:
            self.error = f"a short connection broke: {error!r}"
        if not self.error and self._got != self._message[1:]:
            self.error = f"{len(self._got)} bytes of echo are not the {MESSAGE} that were sent"
        if isinstance(sock, ssl.SSLSocket) and not self.error:
            self.load.seen.resumed += bool(sock.session_reused)
            if self.load.order.resume and sock.session is not None:
                self.load.sessions[:] = [sock.session]
        sock.close()
        return False


class PingPong(Load):
    """Many connections, of which some talk at any moment: each echo lets the one that waits longest speak."""

    TALKING = 32

    def run(self) -> None:
        order = self.order
        socks = {}
        for _ in range(order.connections):
            sock = self.connect()
            sock.sendall(ECHO)
            socks[sock.fileno()] = sock
            self.poller.register(sock.fileno(), select.EPOLLIN)
        message = bytes(relay_bytes.at(0, MESSAGE))
        idle = deque(socks.values())
        for _ in range(self.TALKING):
            idle.popleft().send(message)
        began = now = time.monotonic()
        end, talking = began + order.seconds, self.TALKING
        while talking and now < end + PATIENCE:
            now = time.monotonic()
            for fd, _ in self.poller.poll(0.1):
                sock = socks[fd]
                if sock.recv(ANSWER) != message:
                    self.wrong("an echo was not what was sent")
                    self.poller.unregister(fd)
                self.seen.count += 1
                idle.append(sock)
                if now < end:
                    idle.popleft().send(message)
                else:
                    talking -= 1
        if talking:
            self.wrong(f"{talking} messages were not answered")
        self.seen.seconds = time.monotonic() - began
        for sock in socks.values():
            sock.close()


KINDS = {"bulk": Bulk, "compare": Bulk, "short": Short, "pingpong": PingPong}


def main(order: Order) -> None:
    load = KINDS[order.kind](order)
    load.run()
    print(json.dumps(dataclasses.asdict(load.seen)))


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
