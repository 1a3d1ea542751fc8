"""A running worker against the tables of both sides, over sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.conformance.http.case import Script, Who
from tests.conformance.http.upstream import Upstreams
from tests.conformance.http.worker import WorkerUnderTest
from tests.unit.proxy.http2.peer import data, frame, headers, ping, settings

from nodemesh.proxy.http2.frames import ACK, DATA, END_STREAM, HEADERS, PREFACE, SETTINGS

from . import client, server
from .case import Case
from .wire import Wire, check

POD, HOLDS = "127.78.1.1", "127.78.1.2"
SERVICE = ("10.96.0.30", 80)

#: Requests that are answered before the rest is sent: the table's server answers at once.
ANSWERED_FIRST = server.HALF_OPEN

#: The next request of a client that goes on.
NEXT = 101


def objects(port: int, policy: str = "DO_NOT_UPGRADE") -> list[dict]:
    """A service `a` of one pod, and another that never answers requests which have x-hold."""

    def istio(kind: str, name: str, spec: dict) -> dict:
        metadata = {"name": name, "namespace": "default"}
        return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}

    def core(kind: str, name: str, labels: dict, **parts: dict) -> dict:
        metadata = {"name": name, "namespace": "default", "labels": labels}
        return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **parts}

    found = [
        core("Service", "a", {}, spec={"clusterIP": SERVICE[0], "selector": {"app": "a"},
                                       "ports": [{"name": "http", "port": 80, "targetPort": port}]})
    ]  # fmt: skip
    for name, address in (("answers", POD), ("holds", HOLDS)):
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
        found.append(core("Pod", name, {"app": "a", "version": name}, spec={}, status=status))
    subsets = [{"name": name, "labels": {"version": name}} for name in ("answers", "holds")]
    traffic = {"connectionPool": {"http": {"h2UpgradePolicy": policy}}}
    found.append(istio("DestinationRule", "a", {"host": "a", "subsets": subsets, "trafficPolicy": traffic}))
    routes: list[dict[str, Any]] = [
        {"match": [{"headers": {"x-hold": {}}}], "route": [{"destination": {"host": "a", "subset": "holds"}}]},
        {"route": [{"destination": {"host": "a", "subset": "answers"}}]},
    ]
    for route in routes:
        route["retries"] = {"attempts": 0}
    found.append(istio("VirtualService", "a", {"hosts": ["a"], "http": routes}))
    return found


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerUnderTest]:
    worker = WorkerUnderTest()
    yield worker
    worker.close()


def connect(worker: WorkerUnderTest) -> socket.socket:
    return socket.create_connection(worker.listen(Who(), "default", SERVICE), 5)


def name(case: Case) -> str:
    return f"{case.section} {case.what}"


@pytest.fixture(scope="module")
def answering(worker) -> Iterator[WorkerUnderTest]:
    upstreams = Upstreams()
    body = Script(body="hello world")
    upstreams.start({"answers": POD, "holds": HOLDS}, {"answers": body, "holds": Script(hang=True)})
    worker.apply(objects(upstreams.port))
    yield worker
    worker.forget_listeners()
    upstreams.stop()


def is_answer(id: int):
    """Whether a stream has been answered to its end."""
    return lambda found: any(one.id == id and one.flags & END_STREAM and one.kind in (DATA, HEADERS) for one in found)


@pytest.mark.parametrize("case", server.CASES, ids=name)
def test_server(case, answering):
    wire = Wire(connect(answering))
    with wire.sock:
        if case.what == "another frame than SETTINGS first":
            wire.send(PREFACE + ping())
        elif case.what == "a wrong preface":  # on a port for both it is a request of HTTP/1.1, and none
            wire.send(case.sent)
            assert wire.until(lambda found: False) == [] and wire.ended
            return
        else:
            wire.send(PREFACE + settings())
            wire.settled()
            rest = case.sent
            if rest.startswith(ANSWERED_FIRST) and len(rest) > len(ANSWERED_FIRST):
                wire.send(ANSWERED_FIRST)
                wire.until(is_answer(1))
                rest = rest[len(ANSWERED_FIRST) :]
            wire.send(rest)
        check(case, wire)
        if not wire.ended:
            wire.send(headers(NEXT))
            wire.until(lambda found: any(one.kind == HEADERS and one.id == NEXT for one in found))
            assert not wire.ended, wire.frames


class Pod:
    """The endpoint by hand: it takes one connection, and has two requests of it before it says anything."""

    def __init__(self) -> None:
        self.listener = socket.create_server((POD, 0))
        self.listener.settimeout(5)
        self.port = self.listener.getsockname()[1]

    def accept(self, asking: socket.socket, greeting: bytes) -> Wire:
        asking.sendall(PREFACE + settings() + frame(SETTINGS, ACK) + headers(1))
        wire = Wire(self.listener.accept()[0])
        wire.send(greeting)
        if greeting.startswith(settings()):
            wire.until(lambda found: any(one.kind == HEADERS for one in found))
            wire.until(lambda found: any(one.kind == SETTINGS and one.flags & ACK for one in found))
            asking.sendall(headers(3, ended=False) + data(3, b"begun"))
            wire.until(lambda found: any(one.kind == DATA and one.id == 3 for one in found))
            assert not wire.ended, wire.frames
            wire.frames.clear()
        return wire

    def close(self) -> None:
        self.listener.close()


@pytest.fixture(scope="module")
def asked(worker) -> Iterator[tuple[WorkerUnderTest, Pod]]:
    pod = Pod()
    worker.apply(objects(pod.port, "UPGRADE"))
    yield worker, pod
    pod.close()


@pytest.mark.parametrize("case", client.CASES, ids=name)
def test_client(case, asked):
    worker, pod = asked
    with connect(worker) as asking:
        early = case.what == "another frame than SETTINGS first"
        wire = pod.accept(asking, ping() if early else settings())
        with wire.sock:
            if not early:
                wire.send(case.sent)
            check(case, wire)
        with suppress(OSError):
            asking.shutdown(socket.SHUT_RDWR)
