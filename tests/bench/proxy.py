"""What the suites need of any proxy: started in a folder, reached at a port, with a log."""

from __future__ import annotations

import abc
import contextlib
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from . import rules
from .processes import Cores, Process, free_port

LOOPBACK = "127.0.0.1"
FIELD = re.compile(rb'"[^"]*"|\[[^]]*\]|\S+')  # of an access log line


class Proxy(abc.ABC):
    """One proxy between load and upstream. A subclass writes its configuration and says its command."""

    name: ClassVar[str]
    environment: ClassVar[dict[str, str]] = {}
    patience: ClassVar[float] = 20.0  # seconds for it to answer
    logs: ClassVar[bool] = True  # whether it writes an access log

    def __init__(self, folder: Path, upstream_port: int, cores: Cores, protocol: str = "http") -> None:
        """`protocol` is the name of the service's port, which says what its pods speak: http, http2, grpc."""
        self.folder = folder
        self.upstream_port = upstream_port
        self.protocol = protocol
        self.port = free_port()
        self.access_log = folder / "access.log"
        self.process = Process(self.name, self.command(), cores.proxy, folder / "output.txt", self.environment)
        try:
            self.process.wait_until(self.ready, "answer a request", self.patience)
        except BaseException:
            self.process.stop()
            raise

    @abc.abstractmethod
    def command(self) -> Sequence[str]:
        """Writes what configuration the proxy reads into its folder, and returns the command that runs it."""

    def ready(self) -> bool:
        """Whether what is asked gets through."""
        return answers(self.port)

    def ports(self) -> tuple[int, ...]:
        """Where it listens for clients."""
        return (self.port,)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def clients(self) -> int:
        """How many connections of clients it still holds open, half-closed ones included."""
        ports, established, close_wait = tuple(f":{port:04X}" for port in self.ports()), "01", "08"
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        entries = (line.split() for line in lines)
        return sum(e[1].endswith(ports) and e[3] in (established, close_wait) for e in entries)

    def logged(self) -> tuple[int, int]:
        """How many lines the access log holds, and how many fields the last of them."""
        lines, last = 0, b""
        with contextlib.suppress(FileNotFoundError), self.access_log.open("rb") as log:
            for line in log:
                lines, last = lines + 1, line
        return lines, len(FIELD.findall(last))

    def forget_log(self) -> None:
        """Empties the access log, which grows by some hundred megabytes in a run."""
        with contextlib.suppress(FileNotFoundError), self.access_log.open("r+b") as log:
            log.truncate(0)

    def stop(self) -> None:
        self.process.stop()


def answers(port: int) -> bool:
    """Whether a request to the port gets through to a pod and back."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as peer:
        peer.sendall(b"GET /small HTTP/1.1\r\nhost: %s\r\nconnection: close\r\n\r\n" % rules.HOST.encode())
        return peer.recv(12).startswith(b"HTTP/1.1 200")
    return False
