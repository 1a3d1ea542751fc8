"""The measured half of suite `datapath`: a node in the lab with the agent on it, and a client that dials four ways.

direct      from outside of every pod's cgroup: no hook runs
passed      an endpoint's own address from inside the pod: the hooks look, and let pass
kernel      a service's address, balanced at connect()
proxy       a service's address with an HTTP rule: redirected, and through the whole proxy

Each way is measured in pairs with `direct`, one right after the other and in turns the first, by the same process,
which is moved into the pod's cgroup and out of it: whatever else differs from moment to moment or from process to
process is in both halves of a pair. The figure is the median of the pairs' ratios. `direct` beside itself tells how
far chance alone goes.

For sockmap, a second client in a pod that has asked for it dials beside the first: both through the proxy.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nodemesh.datapath.maps import LAYOUT, Maps
from nodemesh.datapath.pins import Pins
from nodemesh.lab import Lab, LabPod
from nodemesh.lab.agent import Agent
from nodemesh.lab.place import ProcessPlace
from nodemesh.lab.service import LabPort

from .processes import busy

APP = str(Path(__file__).with_name("datapath_app.py"))
PORT = 9080
BULK = 16 * 1024 * 1024
WARM_UP = 0.3  # of a storm's connections, before memory is first looked at
CONCURRENCY = 4

#: What sockmap is measured at: the name, bytes of an answer, requests of a round, on one connection or one each.
SIZES = (
    ("64 B", 64, 300, True),
    ("1 KB", 1024, 300, True),
    ("64 KB", 65536, 150, True),
    ("new connection", 64, 100, False),
)

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: proxied, namespace: default}
spec:
  hosts: [proxied]
  http: [{route: [{destination: {host: proxied}}]}]
"""

SOCKMAP = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec: {sockmap: 'on'}
"""


#: A pod may hold more connections than by default.
ROOM = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec: {limits: {connections: 100000}}
"""

#: Descriptors that a process has for other things than a crowd's connections.
SPARE = 1000

#: States of TCP sockets that nobody needs to close any more: TIME_WAIT, CLOSE, LISTEN (net/tcp_states.h).
SETTLED = {"06", "07", "0A"}

#: Processes that hold connections, and connections a second of one that opens and closes them.
HOLDERS = 3
CHURN = 2000


class Way(NamedTuple):
    """Where a connection is dialled from, the address, and the Host header."""

    cgroup: Path
    address: str
    host: str


class Dialler:
    """The dialling app, started once in the client's namespaces, given one job after the other."""

    def __init__(self, place: ProcessPlace, core: int) -> None:
        command = ["taskset", "-c", str(core), sys.executable, "-IS", APP, "dial"]
        self._process = place.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._cgroup = place.cgroup

    def dial(self, way: Way, count: int, size: int = 0, concurrency: int = 1, keep: bool = False) -> dict[str, Any]:
        if way.cgroup != self._cgroup:  # the sockets that it makes from now on belong there
            (way.cgroup / "cgroup.procs").write_text(str(self._process.pid))
            self._cgroup = way.cgroup
        dialled = {"address": way.address, "port": PORT, "host": way.host}
        job = {**dialled, "count": count, "size": size, "concurrency": concurrency, "keep": keep}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Stage(NamedTuple):
    lab: Lab
    agent: Agent
    dialler: Dialler
    ways: dict[str, Way]


def cores() -> tuple[int, int]:
    """The client's and the server's."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def serve(pod: LabPod) -> None:
    command = ["taskset", "-c", str(cores()[1]), sys.executable, "-IS", APP, "answer", str(PORT)]
    pod.popen(command, stdin=subprocess.DEVNULL)
    pod.wait_listening(PORT)


#: Tens of thousands of connections to one address within a minute: more than there are ports while each rests a minute.
PORTS = "open('/proc/sys/net/ipv4/tcp_tw_reuse', 'w').write('1')"


def build(lab: Lab, workers: int = 0) -> Stage:
    server = lab.pod("server", labels={"app": "server"})
    serve(server)
    client = lab.pod("client")
    client.python(PORTS)
    kernel = lab.service("kernel", ports=[LabPort(PORT, name="tcp")], selector={"app": "server"})
    proxied = lab.service("proxied", ports=[PORT], selector={"app": "server"})
    agent = Agent(lab, workers=workers)
    agent.apply(RULE)
    agent.start()
    agent.wait_enrolled([client, server])
    ways = {
        "direct": Way(lab.host.cgroup, server.ip, "server"),
        "passed": Way(client.cgroup, server.ip, "server"),
        "kernel": Way(client.cgroup, kernel.addresses[0], "kernel"),
        "proxy": Way(client.cgroup, proxied.addresses[0], "proxied"),
    }
    return Stage(lab, agent, Dialler(client, cores()[0]), ways)


#: What a pair's two jobs have found: `direct`, and the way beside it.
Pair = tuple[dict[str, Any], dict[str, Any]]


def pairs(stage: Stage, rounds: int, count: int, size: int = 0) -> dict[str, list[Pair]]:
    """`rounds` pairs of `count` connections by way."""
    found: dict[str, list[Pair]] = {way: [] for way in stage.ways}
    for number in range(rounds + 1):
        for name, way in stage.ways.items():
            both = [stage.ways["direct"], way]
            swapped = number % 2 == 1
            runs = [stage.dialler.dial(one, count, size) for one in (reversed(both) if swapped else both)]
            base, own = reversed(runs) if swapped else runs
            if number:  # the first is the warm-up
                found[name].append((base, own))
    return found


def latency(stage: Stage, rounds: int, count: int) -> dict[str, float]:
    """Microseconds of connect() and of a whole connection with one request, by way."""
    figures: dict[str, float] = {}
    for way, found in pairs(stage, rounds, count).items():
        figures[f"{way} failed"] = float(sum(run["failed"] for pair in found for run in pair))
        for what in ("connect", "request"):
            figures[f"{way} {what}"] = statistics.median(own[what] for _, own in found)
            figures[f"{way} {what} ratio"] = statistics.median(own[what] / base[what] for base, own in found)
    return figures


def throughput(stage: Stage, rounds: int) -> dict[str, float]:
    """GB/s of one answer of BULK bytes, by way."""
    figures: dict[str, float] = {}
    for way, found in pairs(stage, rounds, 1, BULK).items():
        whole = [(base["request"], own["request"]) for base, own in found if not base["failed"] and not own["failed"]]
        figures[f"{way} failed"] = float(len(found) - len(whole))
        figures[f"{way} throughput"] = BULK / statistics.median(own for _, own in whole) / 1e3
        figures[f"{way} throughput ratio"] = statistics.median(base / own for base, own in whole)
    return figures


def storm(stage: Stage, count: int) -> dict[str, float]:
    """`count` redirected connections, some at a time; what became of them, and what they left."""
    way = stage.ways["proxy"]
    first = int(count * WARM_UP)
    failed = stage.dialler.dial(way, first, concurrency=CONCURRENCY)["failed"]
    before = resident(stage.agent)
    failed += stage.dialler.dial(way, count - first, concurrency=CONCURRENCY)["failed"]
    return {
        "storm failed": float(failed),
        "storm left in maps": float(left(stage)),
        "storm left in namespaces": float(sockets_left(stage)),
        "storm growth": (resident(stage.agent) - before) / 2**20,
    }


def sockmap(stage: Stage, rounds: int) -> dict[str, float]:
    """On ÷ off, by what is asked for: time of a request, and CPU seconds of all that takes part, by the medians of
    rounds in which the two take turns."""
    lab, agent = stage.lab, stage.agent
    joined = lab.pod("joined", annotations={"nodemesh.io/sockmap": "enabled"})
    agent.apply(SOCKMAP, "sockmap")
    agent.wait_for(lambda: any(row["sockmap"] for row in agent.get("/pods")), "the pod to have sockmap", 20.0)
    way = stage.ways["proxy"]
    off = stage.dialler, way
    on = Dialler(joined, cores()[0]), way._replace(cgroup=joined.cgroup)
    figures: dict[str, float] = {}
    try:
        for name, size, count, keep in SIZES:
            ratios: list[tuple[float, float]] = []
            for number in range(rounds + 1):
                found = []
                for dialler, dialled in (off, on) if number % 2 else (on, off):
                    before = used(lab)
                    took = dialler.dial(dialled, count, size, keep=keep)["request"]
                    found.append((took, used(lab) - before))
                (time_off, cpu_off), (time_on, cpu_on) = found if number % 2 else found[::-1]
                if number:
                    ratios.append((time_on / time_off, cpu_on / cpu_off))
            figures[f"{name} request on ÷ off"] = statistics.median(ratio[0] for ratio in ratios)
            figures[f"{name} CPU on ÷ off"] = statistics.median(ratio[1] for ratio in ratios)
    finally:
        on[0].close()
    return figures


def crowd(stage: Stage, count: int, seconds: int) -> dict[str, float]:
    """So many redirected connections of one pod to one service at once, each of them used twice; then CHURN connections
    a second."""
    lab, agent = stage.lab, stage.agent
    agent.apply(ROOM, "room")
    client, way = lab.pods["default/client"], stage.ways["proxy"]
    address = way.address

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-IS", APP, *map(str, arguments)]
        return client.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def failed() -> int:
        return sum(json.loads(one.stdout.readline())["failed"] for one in holders if one.stdout is not None)

    began, empty = time.monotonic(), resident(agent)
    shares = [count // HOLDERS + (number < count % HOLDERS) for number in range(HOLDERS)]
    holders = [start("hold", address, PORT, way.host, share) for share in shares]
    refused = failed()
    took = time.monotonic() - began
    held = resident(agent) - empty
    for one in holders:
        assert one.stdin is not None
        one.stdin.write("go on\n")
        one.stdin.flush()
    lost = failed()
    for one in holders:
        one.communicate("go on\n")
    before = used(lab)
    (said,) = (json.loads(one.communicate()[0]) for one in [start("churn", address, PORT, CHURN, seconds)])
    spent = used(lab) - before
    return {
        "crowd failed": float(refused),
        "crowd lost": float(lost),
        "crowd took": took,
        "crowd resident": held / count / 1024,
        "churn failed": float(said["failed"]),
        "churn done": said["done"] / seconds,
        "churn CPU": spent / said["done"] * 1e6,
        "crowd left in maps": float(left(stage)),
        "crowd left in namespaces": float(sockets_left(stage)),
    }


def workers_for(count: int) -> int:
    """So many that a crowd finds descriptors, two for each of its connections, though they take it unevenly: no worker
    has more than the hard limit."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(len(os.sched_getaffinity(0)), -(-3 * count // (limit - SPARE)))


def resident(agent: Agent) -> int:
    """Bytes of all the agent's processes (proc(5), statm)."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in agent.pids())


def left(stage: Stage) -> int:
    """Records of connections that are still in the maps once the last has had time to close."""

    def count() -> int:
        with Maps(Pins(stage.lab.bpffs, LAYOUT)) as maps:
            return len(list(maps["flows"].keys()))

    try:
        stage.agent.wait_for(lambda: count() == 0, "the maps to be empty", 5.0)
    except Exception:
        return count()
    return 0


def sockets_left(stage: Stage) -> int:
    """Sockets of the client's namespace that are still connected once the last has had time to close, but for as many
    connections to the server as the workers keep for the next request."""
    pid = stage.lab.pods["default/client"].pid

    def count() -> int:
        lines = [
            line for table in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
        ]
        sockets = [fields for fields in map(str.split, lines) if fields[0] != "sl"]
        return sum(fields[3] not in SETTLED and not fields[2].endswith(f":{PORT:04X}") for fields in sockets)

    try:
        stage.agent.wait_for(lambda: count() == 0, "the namespace to be empty", 15.0)
    except Exception:
        return count()
    return 0


def others(lab: Lab) -> float:
    """Seconds that all but the lab's processes have spent on our cores so far (cgroup-v2's cpu.stat)."""
    return sum(busy(core) for core in os.sched_getaffinity(0)) - used(lab)


def used(lab: Lab) -> float:
    """Seconds of CPU that the lab's processes have spent so far."""
    words = (lab.cgroup_root / "cpu.stat").read_text().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6


def main(arguments: Sequence[str]) -> None:
    """`latency ROUNDS COUNT`, `throughput ROUNDS`, `storm COUNT`, `sockmap ROUNDS` or `crowd COUNT SECONDS`."""
    what, *numbers = arguments
    with Lab("bench") as lab:
        stage = build(lab, workers_for(int(numbers[0])) if what == "crowd" else 0)
        try:
            measures: dict[str, Callable[..., dict[str, float]]] = {
                "latency": latency, "throughput": throughput, "storm": storm, "sockmap": sockmap, "crowd": crowd,
            }  # fmt: skip
            began, before = time.monotonic(), others(lab)
            figures = measures[what](stage, *map(int, numbers))
            figures["others"] = (others(lab) - before) / (time.monotonic() - began) / len(os.sched_getaffinity(0))
            print(json.dumps(figures))
        finally:
            stage.dialler.close()
            stage.agent.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
