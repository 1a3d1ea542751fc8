"""Suite `cluster`: an agent that follows a big cluster's API server, from its start to a request that takes a new way.

What all agents together cost the server follows from one agent's numbers by multiplication."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.apiserver.running import kubeconfig

from . import jobs
from .cluster import Size
from .nodemesh import AGENT, byte_code
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, Process, free_port

FULL, FULL_NODES = Size(services=10_000, rules=300, namespaces=100), 1_000
QUICK, QUICK_NODES = Size(services=1_000, rules=100, namespaces=100), 100

#: Changes of endpoints a second while the latency is measured. A rolling update of a hundred pods every minute in
#: each of ten services makes about this many.
CHURN = 30
SECONDS = 20.0
CHANGES = 30

#: Changes a second under which the tables must stay true, whatever happens; and for how many seconds.
STORM = 1_000
STORM_SECONDS = 60
STORM_UNITS = {
    "seconds of changes": "s",
    "longest until true again": "s",
    "processor for a change, server included": "ms",
}

ROOT = Path(__file__).parents[2]
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"


class Answering:
    """A server whose every answer is its own port."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        body = str(self.port).encode()
        self._answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.recv(65536)
                sock.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


class Server:
    """The API server under measurement conditions."""

    def __init__(self, folder: Path, size: Size, nodes: int, cores: set[int]) -> None:
        self.port = free_port()
        numbers = [self.port, size.services, size.rules, size.namespaces, nodes]
        command = [sys.executable, "-m", "tests.bench.cluster_server", *map(str, numbers)]
        environment = {"PYTHONPATH": f"{AGENT}:{ROOT}"}
        self.process = Process("API server", command, cores, folder / "server.out", environment)
        self.process.wait_for_port("127.0.0.1", self.port, 120)

    def ask(self, method: str, path: str, data: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, json.dumps(data) if data is not None else None,
                           {"Content-Type": "application/json"})  # fmt: skip
        answer = connection.getresponse()
        body = json.loads(answer.read())
        connection.close()
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {body}")
        return body

    def endpoint(self, port: int, method: str = "PUT") -> None:
        """Where the probed service's only endpoint is."""
        data = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "probe-1",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "probe"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }
        self.ask(method, SLICES if method == "POST" else f"{SLICES}/probe-1", data)


class Agent:
    """`nodemesh run --kubernetes` with one exposed port for the probed service."""

    def __init__(self, folder: Path, server: Server, cores: set[int], environment: dict[str, str]) -> None:
        self.port, self.admin = free_port(), free_port()
        config = kubeconfig(folder / "kubeconfig", f"http://127.0.0.1:{server.port}")
        command = [
            *(sys.executable, "-m", "nodemesh", "run", "--kubeconfig", str(config), "--node", "node-1"),
            *("--workers", "1", "--ebpf", "off", "--admin", f"127.0.0.1:{self.admin}", "--as", "default/client"),
            *("--expose", f"probe.default.svc.cluster.local:80=127.0.0.1:{self.port}"),
        ]
        self.process = Process("nodemesh", command, cores, folder / "agent.out", environment)

    def fetch(self, port: int, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            # The admin API answers to its own address alone.
            connection.request("GET", path, headers={"host": "probe"} if port == self.port else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def answered_by(self) -> int:
        """The port of the endpoint that the next request goes to; 0 for an error."""
        status, body = self.fetch(self.port, "/")
        return int(body) if status == 200 else 0

    def control(self) -> int:
        """The control process' resident bytes."""
        _, text = self.fetch(self.admin, "/metrics")
        for line in text.decode().splitlines():
            if line.startswith('nodemesh_process_resident_memory_bytes{process="control"}'):
                return int(float(line.split()[1]))
        raise Failed("the agent does not tell its memory")

    def cpu(self) -> float:
        return self.process.usage().cpu


@contextmanager
def cluster(size: Size, nodes: int) -> Iterator[tuple[Server, Agent, list[Answering], float]]:
    """Both running and the probed service there; the seconds from the agent's start to its first good answer."""
    cores = Cores.share()
    ends = [Answering(), Answering()]
    with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as name:
        folder = Path(name)
        environment = byte_code(folder / "byte-code")
        server = Server(folder, size, nodes, cores.load)
        agent = None
        try:
            spec = {"clusterIP": "10.95.0.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
            meta = {"name": "probe", "namespace": "default"}
            server.ask("POST", SERVICES, {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
            server.endpoint(ends[0].port, "POST")
            start = time.perf_counter()
            agent = Agent(folder, server, cores.proxy, environment)
            agent.process.wait_until(lambda: agent.answered_by() == ends[0].port, "serve the cluster", 120)
            yield server, agent, ends, time.perf_counter() - start
        finally:
            if agent is not None:
                agent.process.stop()
            server.process.stop()
            for end in ends:
                end.close()


def latencies(server: Server, agent: Agent, ends: list[Answering], changes: int) -> list[float]:
    """Seconds from the write of an endpoint to the first request that reaches it."""
    found = []
    for number in range(1, changes + 1):
        wanted = ends[number % 2].port
        start = time.perf_counter()
        server.endpoint(wanted)
        while agent.answered_by() != wanted:
            if time.perf_counter() - start > 20:
                raise Failed("a changed endpoint did not reach the worker within 20 s")
            time.sleep(0.002)
        found.append(time.perf_counter() - start)
        time.sleep(0.05)
    return found


def name(size: Size, nodes: int) -> str:
    """The case's name."""
    return f"{size.services:,} services, {size.services * size.endpoints:,} pods, {nodes:,} nodes"


def churned(size: Size, nodes: int, quick: bool) -> Iterator[tuple[str, float, str]]:
    """The agent beside a big cluster: figures of its start, of single changes, and of what it costs."""
    with cluster(size, nodes) as (server, agent, ends, first):
        listed = server.ask("GET", "/bench")
        quiet = latencies(server, agent, ends, CHANGES)
        server.ask("POST", f"/bench/churn/{CHURN}")
        time.sleep(1)
        before, cpu, start = server.ask("GET", "/bench"), agent.cpu(), time.perf_counter()
        busy = latencies(server, agent, ends, CHANGES)
        while time.perf_counter() - start < (3.0 if quick else SECONDS):
            time.sleep(0.1)
        after, spent, used = server.ask("GET", "/bench"), time.perf_counter() - start, agent.cpu() - cpu
        server.ask("POST", f"/bench/churn/{STORM}")
        time.sleep(1)
        stormy = latencies(server, agent, ends, CHANGES)
        server.ask("POST", "/bench/churn/0")
        made = after["changes"] - before["changes"]
        yield "start to first answer", first, "s"
        yield "sent for the start", listed["sent"] / 1e6, "MB"
        yield "watches", after["watches"], ""
        yield "change to worker, quiet", statistics.median(quiet) * 1000, "ms"
        yield "change to worker, churn", statistics.median(busy) * 1000, "ms"
        yield "change to worker, churn, longest", max(busy) * 1000, "ms"
        yield f"change to worker, {STORM:,} changes a second", statistics.median(stormy) * 1000, "ms"
        yield "sent under churn", (after["sent"] - before["sent"]) / spent / 1e3, "kB/s"
        yield "cores under churn", used / spent, ""
        yield "processor for a change", used / made * 1000, "ms"
        yield "memory of control", agent.control() / 2**20, "MiB"


def run(options: Options) -> Outcome:
    size, nodes = (QUICK, QUICK_NODES) if options.quick else (FULL, FULL_NODES)
    seconds = 5 if options.quick else STORM_SECONDS
    case, storm = name(size, nodes), f"{STORM:,} changes a second for {seconds} s"
    outcome = Outcome([], [], [f"one agent of {nodes:,}; churn is {CHURN} changed endpoint slices a second"])
    if options.wants(case):
        for title, value, unit in churned(size, nodes, options.quick):
            outcome.figures.append(Figure(f"{case}: {title}", "", "value", value, unit))
    if options.wants(storm):
        for title, value in jobs.run("churn_job", [str(STORM), str(seconds)], 600.0).items():
            unit = STORM_UNITS.get(title, "")
            scaled = value * 1000 if unit == "ms" else value
            outcome.figures.append(Figure(f"{storm}: {title}", "", "value", scaled, unit))
    return outcome
