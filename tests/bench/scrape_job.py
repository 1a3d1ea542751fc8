"""The measured halves of suite `scrape`, each a process of its own: control's page of metrics, and who asks for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import msgspec

from nodemesh.admin.http import serve
from nodemesh.registry.snapshot import Endpoint, Snapshot
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Cluster
from nodemesh.telemetry.dump import Dump, Numbered
from nodemesh.telemetry.exposition import MetricsPage, render
from nodemesh.telemetry.record import RequestRecord
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals

ROUNDS = 5

#: Seconds between scrapes where there are to be many.
INTERVAL = 2.0


def filled(services: int, clients: int) -> Totals:
    telemetry, totals = Telemetry(), Totals()
    fill(telemetry, services, clients)
    totals.add(telemetry.dump(), 0.0)
    return totals


def fill(telemetry: Telemetry, services: int, clients: int) -> None:
    """Each client has asked each service."""
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


async def often(services: int, clients: int) -> None:
    """Serve the page, and have it asked for all the time, until somebody ends this."""
    listener = socket.create_server(("127.0.0.1", 0))
    await serve(Control(filled(services, clients)), listener)  # type: ignore[arg-type]
    command = [sys.executable, "-m", __spec__.name, "again", str(listener.getsockname()[1]), str(os.getpid())]
    print("serving", flush=True)
    await (await asyncio.create_subprocess_exec(*command)).wait()


def again(port: int, parent: int) -> None:
    """A scrape every few seconds, as long as who serves lives."""
    while os.getppid() == parent:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"}), timeout=60
        ).read()
        time.sleep(INTERVAL)


def pause(services: int, clients: int) -> dict[str, float]:
    """Milliseconds for which a worker's requests wait while it tells what it has counted, where all of it is new."""
    longest = []
    for _ in range(ROUNDS):
        telemetry, parts, kept = Telemetry(), [], 0
        fill(telemetry, services, clients)
        while True:
            start = time.process_time()
            data = telemetry.dumps(kept, kept)
            parts.append(time.process_time() - start)
            (told,) = msgspec.msgpack.decode(data, type=list[Numbered])
            kept = told.number
            if not msgspec.msgpack.decode(told.dump, type=Dump).more:
                break
        longest.append(max(parts) * 1000)
    return {"pause": statistics.median(longest)}


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
    elif sys.argv[1] == "again":
        again(int(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "often":
        asyncio.run(often(int(sys.argv[2]), int(sys.argv[3])))
    elif sys.argv[1] == "pause":
        print(json.dumps(pause(int(sys.argv[2]), int(sys.argv[3]))))
    else:
        print(json.dumps(asyncio.run(serving(int(sys.argv[1]), int(sys.argv[2])))))
