"""Suite `fairness`: how long a pod's requests take beside another pod whose bytes are dear to read, and without it.

Beside the time of the clock, which all that runs on the machine has its part in, stands the CPU time that the worker
has spent on anything while a request was out: what the proxy alone makes it wait."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import yaml

from . import rules
from .aftermath import subfolder
from .attack import PATTERNS, get
from .nodemesh import CLIENT, Nodemesh, compiled, objects
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, descendants, free_port
from .proxy import LOOPBACK
from .upstream import BODIES, Upstream

SECONDS = 6.0
QUICK_SECONDS = 1.0

#: Seconds between two requests of the pod that behaves.
PAUSE = 0.002

#: Seconds for which an attack runs before it counts, and after.
AROUND = 0.5


class SharedNodemesh(Nodemesh):
    """One agent with two plain listeners: each is a pod of its own to the proxy."""

    def __init__(self, folder: Path, upstream_port: int, cores: Cores) -> None:
        self.other_port = free_port()
        super().__init__(folder, upstream_port, cores)

    def command(self) -> Sequence[str]:
        config = self.folder / "mesh.yaml"
        config.write_text(yaml.safe_dump_all(objects(self.upstream_port), sort_keys=False))
        host = f"{rules.HOST}.{rules.NAMESPACE}.svc.cluster.local:{rules.PORT}"
        exposed = [f"--expose={host}={LOOPBACK}:{port}" for port in (self.port, self.other_port)]
        return [
            *(sys.executable, "-m", "nodemesh", "run", "--config", str(config), *exposed),
            *("--as", f"{rules.NAMESPACE}/{CLIENT}", "--workers", "1", "--ebpf", "off"),
            *("--admin", f"{LOOPBACK}:{free_port()}", "--access-log", str(self.access_log)),
        ]


class Latency(NamedTuple):
    """Of the requests of one spell, in milliseconds; `work` is the median of the worker's CPU time meanwhile."""

    p50: float
    p99: float
    longest: float
    work: float


def run(options: Options) -> Outcome:
    cores = Cores.share()
    built = "compiled by mypyc" if compiled() else "pure Python"
    outcome = Outcome([], [], [f"nodemesh is {built}, one worker; the attacker shares a core with client and upstream"])
    seconds = QUICK_SECONDS if options.quick else SECONDS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        proxy = SharedNodemesh(subfolder(folder, "nodemesh"), upstream.port, cores)
        stack.callback(proxy.stop)
        os.sched_setaffinity(0, cores.load)
        stack.callback(os.sched_setaffinity, 0, cores.proxy | cores.load | cores.upstream)
        visit(proxy, QUICK_SECONDS)
        for name in PATTERNS:
            if options.wants(name):
                measure(name, proxy, seconds, cores, outcome)
                proxy.forget_log()
    return outcome


def measure(name: str, proxy: SharedNodemesh, seconds: float, cores: Cores, outcome: Outcome) -> None:
    """One pattern: the pod that behaves by itself, beside the attack, and by itself again."""
    before = visit(proxy, seconds / 2)
    held = resident(proxy)
    command = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores.load))), "nice", "-n", "19"]
    command += [sys.executable, "-m", f"{__package__}.attack", str(proxy.other_port), name, str(seconds + 2 * AROUND)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as attacker:
        time.sleep(AROUND)
        under = visit(proxy, seconds)
        held_under = resident(proxy)
        if attacker.wait(seconds + 30):
            outcome.mistakes.append(f"{name}: the attacker failed")
    after = visit(proxy, seconds / 2)
    baseline = statistics.mean((before.p99, after.p99))
    outcome.figures.extend(
        [
            Figure(name, "", "p50 alone", statistics.mean((before.p50, after.p50)), "ms"),
            Figure(name, "", "p50", under.p50, "ms"),
            Figure(name, "", "p99 alone", baseline, "ms"),
            Figure(name, "", "p99", under.p99, "ms"),
            Figure(name, "", "longest", under.longest, "ms"),
            Figure(name, "", "p99 ÷ alone", under.p99 / baseline),
            Figure(name, "", "CPU p50 alone", statistics.mean((before.work, after.work)), "ms"),
            Figure(name, "", "CPU p50", under.work, "ms"),
            Figure(name, "", "memory alone", held, "MiB"),
            Figure(name, "", "memory", held_under, "MiB"),
        ]
    )


def visit(proxy: SharedNodemesh, seconds: float) -> Latency:
    """One request after the other for so long."""
    took, work = [], []
    worker = worker_of(proxy) / "schedstat"
    with socket.create_connection((LOOPBACK, proxy.port), timeout=30) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            spent, start = cpu_time(worker), time.monotonic()
            peer.sendall(get())
            answer = b""
            while len(answer.partition(b"\r\n\r\n")[2]) < BODIES["/small"]:
                piece = peer.recv(65536)
                if not piece:
                    raise Failed("the pod that behaves was left without an answer")
                answer += piece
            took.append((time.monotonic() - start) * 1000.0)
            work.append((cpu_time(worker) - spent) / 1e6)
            time.sleep(PAUSE)
    took.sort()
    work.sort()
    return Latency(took[len(took) // 2], took[len(took) * 99 // 100], took[-1], work[len(work) // 2])


def resident(proxy: SharedNodemesh) -> float:
    """MiB of memory that the worker holds (proc(5), statm)."""
    return int((worker_of(proxy) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def worker_of(proxy: SharedNodemesh) -> Path:
    """Where the kernel tells of the agent's one worker."""
    for pid in descendants(proxy.process.pid):
        if b"nodemesh.node.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return Path(f"/proc/{pid}")
    raise Failed("the agent has no worker")


def cpu_time(schedstat: Path) -> int:
    """Nanoseconds that a process has had of a core (proc(5))."""
    return int(schedstat.read_text().split()[0])
