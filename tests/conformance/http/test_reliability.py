"""What users of other meshes suffer from (RC-18 to RC-25), as far as HTTP through one worker shows it."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conformance.http.case import Case, Script, Step, Who
from tests.conformance.http.mesh import addresses_of, objects, service
from tests.conformance.http.run import settle
from tests.conformance.http.upstream import Upstreams
from tests.conformance.http.wire import Connection
from tests.conformance.http.worker import WorkerUnderTest

from nodemesh.config.load import load_object, load_text
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.explain import explain
from nodemesh.routing.views import Views

NAMESPACE = "reliability"
BANNER = b"220 ready\r\n"


@pytest.fixture
def worker() -> Iterator[WorkerUnderTest]:
    worker = WorkerUnderTest()
    yield worker
    worker.close()


@pytest.fixture
def upstreams() -> Iterator[Upstreams]:
    upstreams = Upstreams()
    yield upstreams
    upstreams.stop()


def mesh(worker: WorkerUnderTest, servers: Upstreams, **parts: object) -> Case:
    case = Case(name="", sentences=(), steps=[], **parts)  # type: ignore[arg-type]
    servers.start(addresses_of(case), case.upstreams)
    worker.apply(objects(case, NAMESPACE, servers.port))
    return case


def port_of(name: str) -> dict[str, object]:
    """The service with its port under another name, which declares another protocol."""
    changed = service("reviews", "10.96.0.10")
    changed["spec"]["ports"][0]["name"] = name
    return changed


class Greeter:
    """A server that speaks first, on the pods' own address; it sends back what comes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.listener = socket.create_server(address)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                sock.sendall(BANNER)
                while data := sock.recv(1000):
                    sock.sendall(data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)


@pytest.mark.parametrize("name", ["any", "tcp", "mysql"])
def test_a_server_that_speaks_first_is_heard(name, worker, upstreams):
    """RC-23: on a port without a declared protocol as well as on one for TCP."""
    refuse = {pod: Script(refuse=True) for pod in ("v1", "v2", "v3")}
    mesh(worker, upstreams, config=[port_of(name)], pods={}, upstreams=refuse)
    greeters = [Greeter((f"127.77.1.{number}", upstreams.port)) for number in (1, 2, 3)]
    try:
        with socket.create_connection(worker.listen(Who(), NAMESPACE, ("10.96.0.10", 80)), 5) as client:
            assert client.recv(100) == BANNER
            client.sendall(b"GET / what a mail")
            assert client.recv(100) == b"GET / what a mail"
    finally:
        for greeter in greeters:
            greeter.close()


def test_a_client_that_speaks_late_is_understood_even_where_nobody_listened(worker, upstreams):
    """RC-23: by then the early connection has been refused."""
    mesh(worker, upstreams, config=[port_of("any")], http=[{"directResponse": {"status": 299}}],
         upstreams={pod: Script(refuse=True) for pod in ("v1", "v2", "v3")})  # fmt: skip
    connection = Connection(worker.listen(Who(), NAMESPACE, ("10.96.0.10", 80)))
    proxy = worker.worker.proxy
    settle(lambda: any(target.group.by_address for target in proxy.targets.values()), lambda: "no early connection")
    assert connection.ask(Step(), "").status == 299
    connection.close()


def test_a_declared_protocol_needs_no_look_at_the_bytes(worker, upstreams):
    """RC-23: HTTP is HTTP there, and TCP is TCP."""
    mesh(worker, upstreams)
    with socket.create_connection(worker.listen(Who(), NAMESPACE, ("10.96.0.10", 80)), 5) as client:
        client.sendall(BANNER + b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_the_rule_that_explain_names_is_the_one_that_the_proxy_follows(worker, upstreams):
    """RC-24: each request's line in the access log names the route that explain names."""
    rules: list[dict[str, Any]] = [
        {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "directResponse": {"status": 201}},
        {"name": "api", "match": [{"uri": {"prefix": "/api"}}], "directResponse": {"status": 202}},
        {"name": "rest", "directResponse": {"status": 203}},
    ]
    case = mesh(worker, upstreams, http=rules)
    door = worker.listen(Who(), NAMESPACE, ("10.96.0.10", 80))
    loaded = [load_object(item, "mesh") for item in objects(case, NAMESPACE, upstreams.port)]
    views = Views(compile_tables(Store().apply("test", [item for one in loaded for item in one.objects])))
    client = Client(namespace=NAMESPACE, name="client", labels={"app": "client"})
    for number, (path, headers) in enumerate((("/api", ("end-user: jason",)), ("/api/x", ()), ("/", ()))):
        identity = f"explained-{number}"
        connection = Connection(door)
        status = connection.ask(Step(send=f"GET {path}", headers=headers), identity).status
        connection.close()
        settle(lambda name=identity: bool(worker.lines(name)), lambda: "no line in the log")
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in headers)]
        answer = explain(views, client, "GET", f"http://reviews{path}", fields)
        assert answer.status == status == 201 + number
        assert worker.lines(identity)[0]["route_name"] == rules[number]["name"]
        assert f"spec.http[{number}]" in str(answer.rule)


def test_a_match_that_slipped_out_of_its_place_is_refused_with_its_place():
    """RC-24: the sibling of `uri` where its child was meant."""
    text = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: b}\nspec:\n"
        "  hosts: [a]\n  http:\n  - match:\n    - uri:\n      exact: /status\n    route: [{destination: {host: a}}]\n"
    )
    loaded = load_text(text, "mesh.yaml")
    assert not loaded.objects
    assert any(problem.location.line == 9 and "exact" in problem.message for problem in loaded.problems)


def test_a_pod_that_takes_all_it_can_leaves_the_others_their_part(worker, upstreams):
    """RC-25."""
    hang = {"match": [{"uri": {"exact": "/hang"}}], "route": [{"destination": {"host": "reviews", "subset": "v1"}}]}
    other = {"route": [{"destination": {"host": "reviews", "subset": "v2"}}]}
    limits = {"limits": {"requests": 4, "connections": 8}}
    mesh(worker, upstreams, mesh=limits, http=[hang, other], upstreams={"v1": Script(hang=True)})
    noisy = worker.listen(Who(labels={"app": "noisy"}), NAMESPACE, ("10.96.0.10", 80))
    quiet = worker.listen(Who(labels={"app": "quiet"}), NAMESPACE, ("10.96.0.10", 80))
    held = []
    for number in range(4):
        connection = Connection(noisy)
        connection.sock.sendall(b"GET /hang HTTP/1.1\r\nhost: reviews\r\n\r\n")
        held.append(connection)
        settle(lambda wanted=number + 1: upstreams.total() == wanted, lambda: "the request did not come through")
    for _ in range(4):
        connection = Connection(noisy)
        answer = connection.ask(Step(), "too-many")
        assert answer.status == 503 and answer.field("x-envoy-overloaded") == "true"
        held.append(connection)
    with pytest.raises(OSError, match=r"reset|closed|pipe"):  # the ninth connection is turned away
        turned = Connection(noisy)
        if turned.ask(Step(), "").broken:
            raise OSError("reset")
    connection = Connection(quiet)
    for _ in range(20):
        assert connection.ask(Step(), "").status == 200
    for one in (*held, connection):
        one.close()


def test_a_flood_of_one_pod_leaves_another_its_turns(worker, upstreams):
    """RC-25: the other one's requests are answered while the flood goes on, each within a bound."""
    mesh(worker, upstreams, http=[{"directResponse": {"status": 200}}])
    flooding = threading.Event()
    flooding.set()
    answered = [0]
    door = worker.listen(Who(labels={"app": "noisy"}), NAMESPACE, ("10.96.0.10", 80))
    batch = b"GET / HTTP/1.1\r\nhost: reviews\r\n\r\n" * 100

    def flood() -> None:
        with socket.create_connection(door, 10) as sock:
            while flooding.is_set():
                sock.sendall(batch)
                data = b""
                while data.count(b"HTTP/1.1 200") < 100:
                    data += sock.recv(65536)
                answered[0] += 100

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    connection = Connection(worker.listen(Who(labels={"app": "quiet"}), NAMESPACE, ("10.96.0.10", 80)))
    try:
        settle(lambda: answered[0] > 500, lambda: "the flood does not flow")
        before = answered[0]
        assert all(connection.ask(Step(), "").status == 200 for _ in range(20))
        settle(lambda: answered[0] > before, lambda: "the flood has stopped")
    finally:
        flooding.clear()
        connection.close()
        for thread in threads:
            thread.join(10)
