"""A worker process: the proxy's worker with this node's platform, its access log and its signals."""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec

from ..config.commands import FormatError
from ..proxy.io.platform import Platform
from ..proxy.network import Watcher
from ..proxy.worker import Worker
from ..telemetry.access_log import AccessLog, open_log
from ..telemetry.formatting import Formatter
from ..telemetry.telemetry import Telemetry
from .logs import Log, setup
from .options import Ebpf, RunOptions
from .platform import EbpfPlatform
from .pulse import BEAT, Heart
from .upgrade import REPLACED

log = Log("worker")

#: Seconds that a line of the access log waits at most.
FLUSH_INTERVAL = 0.1

#: MeshConfig's accessLogEncoding for JSON.
JSON = "JSON"


class NodeWorker(Worker):
    """The proxy's worker, ended by SIGTERM or REPLACED within the grace, its log opened anew by SIGHUP."""

    def __init__(self, options: RunOptions, number: int, platform: Platform) -> None:
        self._options = options
        platform.admin_port = options.admin.port
        self._signals = Signals(self)
        super().__init__(
            connect(options.control_socket),
            platform,
            Telemetry(),
            number=number,
            workers=options.workers,
            reconnect=lambda: reconnect(options.control_socket),
        )
        self._log_settings: tuple[str, str, str] = ("", "", "")
        self._log_fd = -1
        self._flush_at = self.reactor.clock.now
        self.reactor.watch(self._signals.fd, self._signals)
        self._heart = Heart()
        self._configure_log()
        self._flush()
        self._beat()

    def finish(self, *, replaced: bool = False) -> None:
        """Finish what is under way, within the grace, then end. Where another worker has taken our place, what is
        redirected from now on is its own: the heartbeat stays."""
        if not replaced and isinstance(self.platform, EbpfPlatform):
            self.platform.stop()
        self.drain(self._options.grace)

    def reopen_log(self) -> None:
        """After a rotation: the old file was moved away."""
        self._log_settings = ("", "", "")
        self._configure_log()

    def _beat(self) -> None:
        self._heart.beat()
        self.reactor.clock.after(BEAT, self._beat)

    def _flush(self) -> None:
        self._configure_log()
        self.platform.folders = self._options.folders(self.tables.mesh)
        self.telemetry.flush()
        clock = self.reactor.clock
        self.telemetry.lag = max(self.telemetry.lag, clock.now - self._flush_at)
        self._flush_at = clock.now + FLUSH_INTERVAL
        clock.after(FLUSH_INTERVAL, self._flush)

    def _configure_log(self) -> None:
        """Have the access log that the command line or, failing that, the mesh's configuration asks for."""
        mesh = self.tables.mesh
        path = self._options.access_log or mesh.access_log_file or ""
        settings = (path, mesh.access_log_format or "", mesh.access_log_encoding)
        if settings == self._log_settings:
            return
        self._log_settings = settings
        self.telemetry.flush()
        self.telemetry.log = self.telemetry.wanted = None
        if self._log_fd > 2:
            os.close(self._log_fd)
        self._log_fd = -1
        if not path:
            return
        try:
            formatter = Formatter(settings[1], json=settings[2] == JSON)
        except FormatError as error:
            log.error("access log keeps to the default format", error=error)
            formatter = Formatter(json=settings[2] == JSON)
        try:
            self._log_fd = open_log(path)
            self.telemetry.log = AccessLog(self._log_fd, formatter)
            self.telemetry.wanted = formatter.wanted
        except OSError as error:
            log.error("no access log", file=path, error=error.strerror)


class Signals(Watcher):
    """Signals as readiness of a pipe, so that they are handled between two turns of the loop."""

    __slots__ = ("fd", "_worker")

    def __init__(self, worker: NodeWorker) -> None:
        self._worker = worker
        self.fd, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGTERM, signal.SIGHUP, REPLACED):
            signal.signal(number, lambda number, frame: None)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def readable(self) -> None:
        for number in os.read(self.fd, 64):
            if number == signal.SIGTERM:
                self._worker.finish()
            elif number == REPLACED:
                self._worker.finish(replaced=True)
            elif number == signal.SIGHUP:
                self._worker.reopen_log()


def connect(path: str) -> socket.socket:
    """A socket to control; while none runs, the supervisor's queue holds it. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def reconnect(path: str) -> socket.socket | None:
    try:
        return connect(path)
    except OSError:
        return None


def main(arguments: list[str]) -> int:
    """`python -m nodemesh.node.worker OPTIONS NUMBER`; the supervisor calls it."""
    options = msgspec.json.decode(arguments[0], type=RunOptions)
    number = int(arguments[1])
    setup(f"worker-{number}", json=options.log_json)
    platform = Platform() if options.ebpf is Ebpf.OFF else EbpfPlatform()
    worker = NodeWorker(options, number, platform)
    worker.run()
    worker.telemetry.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
