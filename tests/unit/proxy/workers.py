"""A worker in a thread, driven as control and clients drive it."""

from __future__ import annotations

import mmap
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from tests.playbooks.mesh import SERVICE

from nodemesh.config.load import load_text
from nodemesh.proxy import messages
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.messages import FromWorker
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.worker import Worker
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.wire import encode_update
from nodemesh.sim.world import RecordingTelemetry

GET = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Watched(Platform):
    """Lets a test act between two turns of the loop."""

    def __init__(self) -> None:
        self.after_turn: Callable[[], object] = int

    def beat(self) -> None:
        self.after_turn()


class Control:
    """A worker in a thread, and control's end of its socket."""

    def __init__(self) -> None:
        self.socket, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.platform = Watched()
        self.worker = Worker(far, self.platform, RecordingTelemetry())
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()
        assert isinstance(self.hear(), messages.Hello)

    def say(self, message: messages.Message, *fds: int) -> None:
        socket.send_fds(self.socket, [msgspec.msgpack.encode(message)], fds)

    def hear(self) -> object:
        packet, self.fds, _, _ = socket.recv_fds(self.socket, 65536, 4)
        return msgspec.msgpack.decode(packet, type=FromWorker)

    def configure(self, config: str, version: int = 1, base: int = 0) -> object:
        tables = compile_tables(Store().apply("test", load_text(config, "mesh.yaml").objects))
        fd = os.memfd_create("tables")
        os.write(fd, encode_update(None, msgspec.structs.replace(tables, version=version)))
        self.say(messages.SetTables(version=version, base=base), fd)
        os.close(fd)
        return self.hear()

    def listen(self, port: int) -> tuple[str, int]:
        """A plain listener for the service's port."""
        listener = socket.create_server(("127.0.0.1", 0))
        address: tuple[str, int] = listener.getsockname()
        client = Client(namespace="default", name="client")
        message = messages.AddListener(
            id=port,
            role=ListenerRole.OUTBOUND,
            descriptors=(messages.Descriptor.SOCKET,),
            client=client,
            destination=("10.96.0.10", port),
        )
        self.say(message, listener.fileno())
        listener.close()
        return address

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The loop takes no turn meanwhile: what comes is ready all at once."""
        reached, gate = threading.Event(), threading.Event()

        def wait() -> None:
            reached.set()
            gate.wait(5)

        self.platform.after_turn = wait
        assert reached.wait(5)
        self.platform.after_turn = int
        yield
        gate.set()

    def ask(self, message: messages.Message) -> bytes:
        self.say(message)
        self.hear()
        with mmap.mmap(self.fds[0], 0, access=mmap.ACCESS_READ) as memory:
            body = memory[:]
        os.close(self.fds[0])
        return body

    def settle(self, condition) -> None:
        """Wait until the worker has done something, at most 5 s."""
        end = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)


def mesh(upstream: socket.socket) -> str:
    port = upstream.getsockname()[1]
    config = SERVICE.replace("10.1.0.1", "127.0.0.1")
    for declared in ("9080", "9081", "9082"):
        config = config.replace(f"port: {declared}", f"port: {port}")
    return config


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, 5)


def accept(server: socket.socket) -> socket.socket:
    """The next connection; no wait on it lasts longer than 5 s."""
    sock, _ = server.accept()
    sock.settimeout(5)
    return sock


def read_until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    return data


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
