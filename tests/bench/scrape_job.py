"""The measured halves of suite `scrape`, each a process of its own: control's page of metrics, and who asks for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from nodemesh.admin.http import serve
from nodemesh.registry.snapshot import Endpoint, Snapshot
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Cluster
from nodemesh.telemetry.exposition import MetricsPage, render
from nodemesh.telemetry.record import RequestRecord
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals

ROUNDS = 5


def filled(services: int, clients: int) -> Totals:
    """Each client has asked each service."""
    telemetry, totals = Telemetry(), Totals()
    called = [destination(number) for number in range(services)]
    for number in range(clients):
        name = f"client-{number}"
        client = Client(namespace="shop", name=f"{name}-7d5c-abcde", labels={"app": name, "pod-template-hash": "7d5c"})
        for cluster in called:
            record = RequestRecord(client)
            record.cluster, record.status, record.method = cluster, 200, b"GET"
            record.duration, record.bytes_sent = 0.001 + hash((name, cluster.name)) % 97 / 1000, 1000
            record.upstream_host = "10.0.0.7:9080"
            telemetry.record(record)
        totals.add(telemetry.dump(), 0.0)
    return totals


def destination(number: int) -> Cluster:
    name = f"service-{number}"
    host = f"{name}.team-{number % 12}.svc.cluster.local"
    end = Endpoint(
        address="10.0.0.7", port=9080, workload=f"team-{number % 12}/{name}-v1-545d-x1",
        labels={"app": name, "version": "v1", "pod-template-hash": "545d"},
    )  # fmt: skip
    cluster = f"outbound|9080||{host}"
    return Cluster(
        name=cluster, key=cluster, host=host, port=9080, service=name, namespace=f"team-{number % 12}", endpoints=(end,)
    )


class Control:
    """As much of a node as the page of metrics asks for."""

    def __init__(self, totals: Totals) -> None:
        self.snapshot = Snapshot()
        self.totals = totals

    async def metrics(self) -> Iterator[bytes]:
        rows = list(self.totals.http.values())
        return render(MetricsPage(http=rows, tcp=(), own=lambda _left_out: ()))


async def serving(services: int, clients: int) -> dict[str, Any]:
    control = Control(filled(services, clients))
    listener = socket.create_server(("127.0.0.1", 0))
    runner = await serve(control, listener)  # type: ignore[arg-type]
    command = [sys.executable, "-m", __spec__.name, "ask", str(listener.getsockname()[1])]
    before = time.process_time()
    asking = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await asking.communicate()
    cpu = (time.process_time() - before) / ROUNDS
    await runner.cleanup()
    return {**json.loads(told), "series": len(control.totals.http), "cpu": cpu}


def ask(port: int) -> dict[str, float]:
    """What Prometheus sees: the page as gzip; and what a probe sees meanwhile."""
    seconds, size, waits = [], 0, []
    for _ in range(ROUNDS):
        done = threading.Event()
        probing = threading.Thread(target=probe, args=(port, done, waits))
        probing.start()
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        size = len(answer.read())
        seconds.append(time.perf_counter() - start)
        assert answer.status == 200 and answer.headers["Content-Encoding"] == "gzip"
        done.set()
        probing.join()
    return {
        "first": seconds[0], "seconds": statistics.median(seconds[1:]), "bytes": size, "healthz": max(waits) * 1000,
        "healthz_median": statistics.median(waits) * 1000,
    }  # fmt: skip


def probe(port: int, done: threading.Event, waits: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not done.is_set():
        start = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        waits.append(time.perf_counter() - start)
        time.sleep(0.002)


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        print(json.dumps(ask(int(sys.argv[2]))))
    else:
        print(json.dumps(asyncio.run(serving(int(sys.argv[1]), int(sys.argv[2])))))
