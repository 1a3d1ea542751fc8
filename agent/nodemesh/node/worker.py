"""A worker process: the proxy's worker with this node's platform, its access log and its signals."""

from __future__ import annotations

import os
import signal
import socket
import sys

import msgspec

from ..proxy.io.platform import Platform
from ..proxy.messages import SetTables
from ..proxy.network import Watcher
from ..proxy.worker import Worker
from ..telemetry.telemetry import Telemetry
from .access_logs import OWN, AccessLogs, settings_of
from .logs import Log, setup
from .options import Ebpf, RunOptions
from .platform import EbpfPlatform
from .pulse import BEAT, Heart
from .upgrade import REPLACED

log = Log("worker")

#: Seconds that a line of the access log waits at most.
FLUSH_INTERVAL = 0.1


class NodeWorker(Worker):
    """The proxy's worker, ended by SIGTERM or REPLACED within the grace, its log opened again by SIGHUP."""

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
        self._logs = AccessLogs()
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
        self._configure_log(again=True)

    def _beat(self) -> None:
        self._heart.beat()
        self.reactor.clock.after(BEAT, self._beat)

    def _flush(self) -> None:
        self.platform.folders = self._options.folders(self.tables.mesh)
        self.telemetry.flush()
        clock = self.reactor.clock
        self.telemetry.lag = max(self.telemetry.lag, clock.now - self._flush_at)
        self._flush_at = clock.now + FLUSH_INTERVAL
        clock.after(FLUSH_INTERVAL, self._flush)

    def _set_tables(self, message: SetTables, fd: int) -> None:
        super()._set_tables(message, fd)
        self._configure_log()

    def _configure_log(self, *, again: bool = False) -> None:
        """Have the access logs that the command line, MeshConfig and Telemetry ask for; `again` after a rotation."""
        tables, telemetry = self.tables, self.telemetry
        telemetry.flush()
        self._logs.open(settings_of(self._options.access_log, tables), again=again)
        telemetry.logs = self._logs.by_provider
        telemetry.log = telemetry.logs.get(OWN)
        telemetry.wanted = self._logs.wanted(tables)
        telemetry.see(tables)


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
