"""Suite `instructions`: what a request, a call and a relayed connection cost in user-space instructions, by callgrind.

The figures hold from machine to machine and under any load, to half a percent: what they were is kept in a file, and a
run fails that finds more."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import kept
from .aftermath import subfolder
from .callgrind import Counted
from .instructions_load import CALLED, Alike, Calls, Connections, Load, Requests
from .kept import Cost
from .nodemesh import compiled
from .outcome import Figure, Options, Outcome
from .processes import Cores, Process, free_port
from .relay_suite import start_upstream
from .upstream import Upstream

HTTP1 = "HTTP/1.1 request, 32 connections, 10 rules"
ALIKE = "HTTP/1.1 request, answers alike"
HTTP2 = "HTTP/2 call, 8 connections of 4 streams"
RELAY = "relayed connection, 8 at once"

#: Each case: its load, rounds before anything counts, and rounds of a count.
CASES: dict[str, tuple[type[Load], int, int]] = {
    HTTP1: (Requests, 60, 20),
    ALIKE: (Alike, 60, 20),
    HTTP2: (Calls, 60, 10),
    RELAY: (Connections, 60, 20),
}
COUNTS = 3


def run(options: Options) -> Outcome:
    """Each case: a warm-up, then the least of several counts, beside the one that is kept: where answers come late the
    loop has more turns, which is nobody's work."""
    built = "compiled" if compiled() else "plain"
    outcome = Outcome([], [], [f"nodemesh is {built}; instructions of one worker's loop, without the kernel's"])
    cases = [case for case in CASES if options.wants(case)]
    if not cases:
        return outcome
    costs = kept.read()
    known = costs.setdefault(built, {})
    for case, counts in measure(cases, 1 if options.quick else COUNTS).items():
        counts.sort(key=lambda each: each.total)
        cost = counts[0]
        outcome.figures.append(Figure(case, "", "instructions", cost.total, "each"))
        outcome.figures.append(Figure(case, "", "spread", (counts[-1].total / counts[0].total - 1) * 100, "%"))
        if options.keep:
            known[case] = cost
        if case in known:
            outcome.figures.append(Figure(case, "", "kept", known[case].total, "each"))
            outcome.mistakes.extend(kept.growth(case, known[case], cost))
        else:
            outcome.notes.append(f"{case}: no figure is kept for {kept.PYTHON}")
    if options.keep:
        kept.write(costs)
    return outcome


def start_grpc(folder: Path, cores: Cores) -> tuple[Process, int]:
    """A server that answers calls by what they say."""
    port = free_port()
    command = ["nghttpd", "--no-tls", "--echo-upload", f"--address={CALLED}", "--trailer=grpc-status: 0", str(port)]
    process = Process("nghttpd", command, cores.upstream, folder / "nghttpd.txt")
    process.wait_for_port(CALLED, port)
    return process, port


def measure(cases: list[str], counts: int) -> dict[str, list[Cost]]:
    """For each case the cost of one piece of work, several times."""
    cores = Cores.share()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        folder.chmod(0o755)  # nginx serves as its own user
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores)
        stack.callback(upstream.stop)
        grpc, grpc_port = start_grpc(folder, cores)
        stack.callback(grpc.stop)
        stored = start_upstream(folder, cores)
        stack.callback(stored.process.stop)
        requests, calls, connections = [free_port() for _ in range(3)]
        ports = {HTTP1: requests, ALIKE: requests, HTTP2: calls, RELAY: connections}
        pods = [upstream.port, grpc_port, stored.port]
        worker = Counted(subfolder(folder, "nodemesh"), [requests, calls, connections], pods, cores.proxy)
        stack.callback(worker.stop)
        loads: dict[str, Load] = {}
        for case, (kind, warm_up, _) in CASES.items():
            if case in cases:
                loads[case] = kind(ports[case])
                stack.callback(loads[case].close)
                loads[case].rounds(warm_up)
        worker.start_counting()
        return {case: [count(worker, load, CASES[case][2]) for _ in range(counts)] for case, load in loads.items()}


def count(worker: Counted, load: Load, rounds: int) -> Cost:
    worker.zero()
    done = load.rounds(rounds)
    functions = {name: instructions / done for name, instructions in worker.count().items()}
    return Cost(sum(functions.values()), functions)
