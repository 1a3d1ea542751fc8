"""A worker whose pods want more than their share: of turns, and of memory."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress

from tests.playbooks.mesh import rule
from tests.unit.proxy.workers import GET, connect, mesh

from nodemesh.proxy.io.lane import QUANTUM
from nodemesh.proxy.io.loop import ACCEPTS, BULK_SIZE


def test_a_pod_with_many_connections_does_not_starve_another(control, upstream):
    """RC-25, counted in requests and turns: whatever the crowd has ready, the single one is served in the same turn."""
    control.configure(mesh(upstream) + rule("directResponse: {status: 418}"))
    crowded, quiet = control.listen(80), control.listen(82)
    crowd = [connect(crowded) for _ in range(4 * QUANTUM)]
    pods = control.worker.proxy.pods
    control.settle(lambda: 82 in pods and len(pods[80].connections) == len(crowd))
    with control.standing_still():  # and a queue of those who want in
        newcomers = [connect(crowded) for _ in range(100)]
        single = connect(quiet)
        turns = []
        control.platform.after_turn = lambda: turns.append(
            (len(pods[82].connections), len(pods[80].connections) - len(crowd))
        )
    control.settle(lambda: len(pods[80].connections) == len(crowd) + 100)
    assert turns[0] == (1, ACCEPTS), "a turn takes so many of a listener, whatever waits"
    records = control.worker.telemetry.records
    for _ in range(3):
        before = len(records)
        with control.standing_still():
            for client in crowd:
                client.sendall(GET * 2)
            single.sendall(GET)
        control.settle(lambda before=before: len(records) == before + 2 * len(crowd) + 1)
        served = [record.downstream_local for record in records[before:]]
        assert served.index("10.96.0.10:82") <= 2 * QUANTUM, "at most one quantum of the crowd comes first"
        assert single.recv(1000).startswith(b"HTTP/1.1 418")
    for client in (*crowd, *newcomers, single):
        client.close()


BIG = 12 << 20


class BigUpstream(threading.Thread):
    """Answers each request with more than any socket takes."""

    def __init__(self, server: socket.socket) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.start()

    def run(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self.answer, args=(self.server.accept()[0],), daemon=True).start()

    def answer(self, served: socket.socket) -> None:
        with served, suppress(OSError):
            while served.recv(65536):
                served.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % BIG)
                for _ in range(BIG >> 20):
                    served.sendall(bytes(1 << 20))


def test_slow_readers_stay_within_their_pods_share(control, upstream):
    share = 1 << 18
    limits = f"""
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{limits: {{bufferedBytes: {share}}}}}
"""
    BigUpstream(upstream)
    control.configure(mesh(upstream) + limits)
    address, other = control.listen(80), control.listen(82)
    clients = [socket.socket() for _ in range(8)]
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # the kernel would take all of it else
        client.settimeout(5)
        client.connect(address)
        client.sendall(GET)
    pods = control.worker.proxy.pods
    control.settle(lambda: 82 in pods)
    gate = pods[80].gate
    control.settle(lambda: gate.full)
    with connect(other) as neighbour:  # reads all it asked for while the first pod stands still
        neighbour.sendall(GET)
        received = 0
        while received < BIG:
            received += len(neighbour.recv(1 << 20))
            assert gate.pending <= share + BULK_SIZE
    assert gate.full and control.worker.proxy.pods[82].gate.pending == 0

    left = dict.fromkeys(clients, BIG)
    while left:
        for client in select.select(list(left), [], [], 5)[0]:
            left[client] -= len(client.recv(1 << 20))
            assert gate.pending <= share + BULK_SIZE
            if left[client] <= 0:
                del left[client]
                client.close()
    control.settle(lambda: gate.pending == 0 and not gate.full)
