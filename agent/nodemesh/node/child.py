"""One process that the supervisor looks after: started, told to stop, started again when it dies."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import pulse
from .backoff import RestartBackoff

PR_SET_PDEATHSIG = 1  # prctl(2)

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """Runs in the child before exec: a supervisor that is killed takes its processes along."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def environment() -> dict[str, str]:
    """Ours, with the folder of this very package first: the children run the same code whatever the working folder."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}:{known}" if known else root}


class Child:
    """`module` is run with `arguments`; `restarts` counts its deaths; after `limit` seconds without a beat it counts as
    hung. Times are seconds of the caller's clock."""

    def __init__(self, name: str, module: str, arguments: list[str], limit: float = 0.0) -> None:
        self.name = name
        self.restarts = 0
        self.due: float | None = 0.0  # when to start it; None while it runs or is not wanted
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = RestartBackoff()
        self._pulse = pulse.Pulse(limit)
        self._beats = -1  # our end of its pipe

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self, now: float, fds: tuple[int, ...] = (), extra: list[str] | None = None) -> None:
        """Start it in a process group of its own, so that the terminal's Ctrl-C reaches the supervisor alone."""
        self._beats, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._process = subprocess.Popen(
                [*self._command, *(extra or [])],
                pass_fds=(*fds, theirs),
                stdin=subprocess.DEVNULL,
                env={**environment(), pulse.VARIABLE: str(theirs)},
                process_group=0,
                preexec_fn=_die_with_parent,
            )
        finally:
            os.close(theirs)
        self.due = None
        self._backoff.began(now)
        self._pulse.began(now)

    def reap(self, now: float) -> int | None:
        """Its exit status (negative: the signal that ended it) if it has died since, and then when to start it."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._process = None
        os.close(self._beats)
        self.due = self._backoff.died(now)
        self.restarts += 1
        return status

    def hung(self, now: float) -> str:
        """Why it is to be replaced though it has not died, empty where it lives; asked every `pulse.LOOK` seconds."""
        if self._process is None or (standing := pulse.standing_of(self._process.pid)) is None:
            return ""
        try:
            beaten = os.read(self._beats, 4096)
        except BlockingIOError:
            return self._pulse.look(now, standing)
        if beaten:
            self._pulse.beat(now, standing.cpu)
        return ""  # at the pipe's end it dies, and is reaped

    def signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
