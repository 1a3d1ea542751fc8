"""Suite `soak`: mixed load for a long while, with pods that die, hang, reset and trickle. Afterwards every answer was
right, memory and descriptors are where they were, and nothing turns over."""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import yaml

from .nodemesh import AGENT
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, Process, free_port
from .proxy import LOOPBACK
from .soak_load import Met
from .soak_mesh import HOST, KINDS, NAMESPACE, objects

CASE = "mixed load"
SECONDS, QUICK_SECONDS = 600.0, 30.0
MIB = 1024 * 1024
WARM_UP = 60.0  # at most
REWRITE = 5.0  # seconds between two changes of the rules

#: What may remain after the load: allocators keep some of what was used.
MEMORY_GROWTH = 1.10
MEMORY_SLACK = 6 * MIB
DESCRIPTORS = 4
IDLE_SECONDS = 4.0
IDLE_SHARE = 0.05  # of a core: control looks at its files, the worker at its clock
SETTLE = 30.0  # seconds within which connections are given back


class Soak:
    """The agent, the pods, and the load, each in processes of their own."""

    def __init__(self, folder: Path) -> None:
        cores = Cores.share()
        self.cores = cores
        self.folder = folder
        self.config = folder / "mesh.yaml"
        self.pod_port, self.port = free_port(), free_port()
        self.version = 0
        self.rewrite()
        module = [sys.executable, "-m", "tests.bench.soak_upstream", str(self.pod_port)]
        self.pods = Process("pods", module, cores.upstream, folder / "pods.txt", {"PYTHONPATH": python_path()})
        command = [
            *(sys.executable, "-m", "nodemesh", "run", "--config", str(self.config), "--as", f"{NAMESPACE}/client"),
            *("--expose", f"{HOST}:80={LOOPBACK}:{self.port}", "--workers", "1", "--ebpf", "off"),
            *("--admin", f"{LOOPBACK}:{free_port()}", "--access-log", "/dev/null"),
        ]
        self.agent = Process("nodemesh", command, cores.proxy, folder / "agent.txt", {"PYTHONPATH": str(AGENT)})

    def start(self) -> None:
        self.pods.wait_for_port("127.78.0.1", self.pod_port)
        self.agent.wait_until(self.answers, "answer a request")

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=2) as peer:
            peer.sendall(f"GET /steady/first/5 HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n".encode())
            return peer.recv(12) == b"HTTP/1.1 200"
        return False

    def rewrite(self) -> None:
        """Change the rules in one step."""
        self.version += 1
        fresh = self.config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump_all(objects(self.pod_port, self.version)))
        fresh.replace(self.config)

    def load(self, seconds: float) -> Met:
        """Put load on for so long, and change the rules meanwhile."""
        output = self.folder / "load.txt"
        command = [sys.executable, "-m", "tests.bench.soak_load", str(self.port), str(seconds)]
        load = Process("load", command, self.cores.load, output, {"PYTHONPATH": python_path()})
        try:
            limit = time.monotonic() + seconds + 60.0
            changed = time.monotonic()
            while load.alive():
                if time.monotonic() > limit:
                    raise Failed(f"the load did not end:\n{load.tail()}")
                if time.monotonic() - changed > REWRITE:
                    self.rewrite()
                    changed = time.monotonic()
                time.sleep(0.1)
            if load.popen.returncode:
                raise Failed(f"the load failed:\n{load.tail(20)}")
            return msgspec.json.decode(output.read_bytes().splitlines()[-1], type=Met)
        finally:
            load.stop()

    def settle(self, descriptors: int) -> int:
        """The agent's descriptors once they have come down to that number, or when the time for it is over."""
        end = time.monotonic() + SETTLE
        while (now := self.agent.usage().descriptors) > descriptors and time.monotonic() < end:
            time.sleep(0.5)
        return now

    def stop(self) -> None:
        self.agent.stop()
        self.pods.stop()


def run(options: Options) -> Outcome:
    """Warm up, remember, put the load on, and compare."""
    seconds = QUICK_SECONDS if options.quick else SECONDS
    outcome = Outcome([], [], [f"{seconds:.0f} s; clients leave, too, and rules change every {REWRITE:.0f} s"])
    if options.wants(CASE):
        with tempfile.TemporaryDirectory(prefix="nodemesh-soak-") as folder:
            soak = Soak(Path(folder))
            try:
                soak.start()
                measure(soak, seconds, outcome)
            finally:
                soak.stop()
    return outcome


def measure(soak: Soak, seconds: float, outcome: Outcome) -> None:
    """The whole course, with what it found put into the outcome."""
    before = soak.agent.usage().descriptors
    judge_answers(soak.load(min(seconds / 3, WARM_UP)), outcome)  # what is made on first use is there then
    soak.settle(before + DESCRIPTORS)
    warm = soak.agent.usage()
    judge_answers(soak.load(seconds), outcome)
    descriptors = soak.settle(before + DESCRIPTORS)
    end = soak.agent.usage()
    time.sleep(IDLE_SECONDS)
    idle = (soak.agent.usage().cpu - end.cpu) / IDLE_SECONDS
    for name, value, unit in (
        ("memory before", warm.proportional / MIB, "MiB"),
        ("memory after", end.proportional / MIB, "MiB"),
        ("descriptors before", before, ""),
        ("descriptors after", descriptors, ""),
        ("CPU when idle", idle * 100, "%"),
    ):
        outcome.figures.append(Figure(CASE, "", name, value, unit))
    if end.proportional > warm.proportional * MEMORY_GROWTH + MEMORY_SLACK:
        grown = (end.proportional - warm.proportional) / MIB
        outcome.mistakes.append(f"{CASE}: memory has grown by {grown:.1f} MiB since the warm-up")
    if descriptors > before + DESCRIPTORS:
        outcome.mistakes.append(f"{CASE}: {descriptors} descriptors are open, {before} were before the load")
    if idle > IDLE_SHARE:
        outcome.mistakes.append(f"{CASE}: {idle:.0%} of a core is used without load")
    if not soak.agent.alive():
        outcome.mistakes.append(f"{CASE}: the agent has ended:\n{soak.agent.tail()}")
    for line in soak.agent.output.read_text(errors="replace").splitlines():
        if "Traceback" in line or "failed" in line:
            outcome.mistakes.append(f"{CASE}: the agent's log has: {line}")


def judge_answers(found: Met, outcome: Outcome) -> None:
    """Every kind of request was answered, each by what may come for it."""
    outcome.figures.append(Figure(CASE, "", "requests", found.requests))
    outcome.mistakes.extend(f"{CASE}: {words}" for words in found.wrong)
    silent = [name for name in KINDS if not any(met.startswith(f"{name}: 200") for met in found.met)]
    outcome.mistakes.extend(f"{CASE}: no request of kind {name} got its answer" for name in silent)
    outcome.notes.append(", ".join(f"{what} {count:,}" for what, count in found.met.items()))


def python_path() -> str:
    """This tree's tests and agent."""
    return f"{AGENT.parent}:{AGENT}"
