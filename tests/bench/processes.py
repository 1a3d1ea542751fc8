"""Processes under measurement: pinned to cores, accounted from /proc with all their children, ended by group."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CPUCLOCK_SCHED = 2  # linux/posix-timers.h: of a process by its id, all its threads together
PR_SET_PDEATHSIG = 1  # prctl(2): the kernel ends the child with us, whatever way we end


class Failed(Exception):
    """A process that the bench needs did not come up or did not do its work; the message says which and why."""


class Cores(NamedTuple):
    """The cores of each process: the proxy has one to itself, load and upstream share the rest."""

    proxy: set[int]
    load: set[int]
    upstream: set[int]

    @classmethod
    def share(cls) -> Cores:
        """Divides the cores that this process may use: two are enough, with three the load has one of its own."""
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2:
            raise Failed(
                "two cores are needed, one for the proxy and one for load and upstream; this process may use one"
            )
        return cls({allowed[0]}, {allowed[1]}, {allowed[min(2, len(allowed) - 1)]})


class Usage(NamedTuple):
    """What a process and its descendants hold at one moment."""

    cpu: float  # seconds, user + system, since their start
    resident: int  # bytes, shared pages counted in each process
    proportional: int  # bytes, shared pages divided among those who share them (PSS)
    descriptors: int
    processes: int


class Process:
    """One started program with its descendants. Its output goes to a file that errors quote from."""

    def __init__(
        self, name: str, command: Sequence[str], cores: set[int], output: Path, env: dict[str, str] | None = None
    ) -> None:
        self.name = name
        self.output = output
        libc = ctypes.CDLL(None)

        def settle() -> None:
            os.sched_setaffinity(0, cores)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        with output.open("wb") as sink:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=settle,  # safe here: the bench has one thread when it starts processes
                env={**os.environ, **(env or {})},
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def tail(self, lines: int = 8) -> str:
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])

    def usage(self) -> Usage:
        """The sums over the process and its descendants; one that has ended counts through its parent."""
        cpu, resident, proportional, descriptors, count = 0.0, 0, 0, 0, 0
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError):
                fields = stat(pid)
                cpu += clock(pid) + sum(map(int, fields[13:15])) / TICKS  # its own, and that of reaped children
                resident += int(fields[21]) * PAGE
                proportional += pss(pid)
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
                count += 1
        return Usage(cpu, resident, proportional, descriptors, count)

    def wait_for_port(self, address: str, port: int, seconds: float = 20.0) -> None:
        """Returns as soon as something accepts there; Failed if the process ends or the time runs out."""

        def answers() -> bool:
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                return True
            return False

        self.wait_until(answers, f"open {address}:{port}", seconds)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.alive():
                raise Failed(
                    f"{self.name} ended with status {self.popen.returncode} and did not {what}:\n{self.tail()}"
                )
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} did not {what} within {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM to the process; SIGKILL to what is left of its session's group after five seconds."""
        if self.alive():
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


def stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the third (state) on: the second may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def clock(pid: int) -> float:
    """Seconds of CPU that a process has used, to the nanosecond, where stat counts ticks of 10 ms: an agent of four
    processes that rests would seem to use some per cent of a core. See clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)


def pss(pid: int) -> int:
    """Proportional set size in bytes, from smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def descendants(pid: int) -> Iterator[int]:
    """The process itself and all below it, parents first."""
    yield pid
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in listing.read_text().split():
                yield from descendants(int(child))


def busy(core: int) -> float:
    """Seconds that a core has spent in processes and for other guests of its host, since boot (proc(5), stat)."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, _irq, _softirq, steal, *_ = map(int, fields)
            return (user + nice + system + steal) / TICKS
    raise Failed(f"/proc/stat does not name core {core}")


def free_port() -> int:
    """A TCP port that nothing on this machine listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
