"""External authorization by servers that others have made: Envoy's gRPC messages as its own definitions have them, and
Python's HTTP server."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, HeaderValueOptionHeaderAppendAction
from envoy_data_plane.envoy.service.auth.v3 import (
    AuthorizationBase,
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.rpc import Status
from grpclib.server import Server as GrpcServer
from tests.routes import gateway, route
from tests.unit.cli.mesh import Mesh, free_port, until

PERMISSION_DENIED = 7
#: How many questions one after the other; the figure of a long run comes by the environment.
MANY = int(os.environ.get("NODEMESH_QUESTIONS", "500"))

SERVICES = "".join(
    f"""---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec: {{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: default, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: PORT-{name}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
"""
    for name, ip in (("app", "10.96.3.1"), ("auth", "10.96.3.2"))
)


class Asked(NamedTuple):
    """One request as it came to a server over HTTP."""

    method: str
    path: str
    fields: dict[str, list[str]]
    body: bytes


class Server:
    """Over HTTP, in threads of its own: remembers what it is asked, and answers as `answer` says."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                fields = {name.lower(): self.headers.get_all(name) or [] for name in self.headers}
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, fields, body)
                outer.asked.append(asked)
                status, told, body = outer.answer(asked)
                self.send_response(status)
                for name, value in told.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class App(Server):
    """The application."""

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        return 200, {"own": "app"}, b"in"


class HttpService(Server):
    """An authorization server: 200 for who says `authorization: good`, else 401; /big says very much."""

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        body = b"y" * (1 << 20) if asked.path.startswith("/check/big") else b"who are you"
        good = asked.fields.get("authorization") == ["good"]
        return 200 if good else 401, {"x-user": "ann", "www-authenticate": "Basic"}, body


class Service(AuthorizationBase):
    """Answers as `answer` says."""

    def __init__(self) -> None:
        self.asked: list[CheckRequest] = []
        self.cancelled = threading.Event()
        self.answer: Callable[[CheckRequest], Awaitable[CheckResponse]] = self.pass_all
        self.port = free_port()
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self._open())
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def _open(self) -> GrpcServer:
        server = GrpcServer([self])
        await server.start("127.0.0.1", self.port)
        return server

    async def check(self, message: CheckRequest) -> CheckResponse:
        self.asked.append(message)
        return await self.answer(message)

    async def pass_all(self, message: CheckRequest) -> CheckResponse:
        return CheckResponse(status=Status(), ok_response=OkHttpResponse())

    async def hang(self, message: CheckRequest) -> CheckResponse:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return CheckResponse()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.server.close)
        until(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)))


class Edge(Mesh):
    """A Gateway whose route asks `auth` before `app` gets a request."""

    def __init__(self, folder: Any, app: App, auth: int, wish: str, timeouts: str = "") -> None:
        folder.mkdir()
        self.port = free_port()
        text = SERVICES.replace("PORT-app", str(app.port)).replace("PORT-auth", str(auth))
        rules = "- backendRefs: [{name: app, port: 80}]\n"
        rules += (
            f"  filters: [{{type: ExternalAuth, externalAuth: {{{wish}, backendRef: {{name: auth, port: 80}}}}}}]\n"
        )
        rules += timeouts
        listener = f"{{name: web, port: {self.port}, protocol: HTTP}}"
        text += gateway(listener, namespace="default") + route("r", rules, namespace="default")
        (folder / "mesh.yaml").write_text(text)
        super().__init__(
            folder, "--gateway", "gateway.networking.k8s.io/gateway-name=edge", "--gateway-listen", "127.0.0.1",
            "--access-log", "-", expose=(),
        )  # fmt: skip

    def __enter__(self) -> Edge:
        super().__enter__()
        until(lambda: not socket.socket().connect_ex(("127.0.0.1", self.port)))
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        return self

    def ask(self, path: str = "/", method: str = "GET", body: bytes | None = None, **fields: str) -> Any:
        """Status, fields and body that the client gets."""
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        self.connection.request(method, path, body, {"host": "shop.example", **names})
        answer = self.connection.getresponse()
        found = {name.lower(): ", ".join(answer.headers.get_all(name) or ()) for name in answer.headers}
        return answer.status, found, answer.read()

    def questions(self, **labels: str) -> float:
        service = "auth.default.svc.cluster.local"
        return self.metric("istio_requests_total", destination_service=service, **labels)


GRPC = "protocol: GRPC, grpc: {}"


@pytest.fixture(scope="module")
def app():
    app = App()
    yield app
    app.close()


@pytest.fixture
def http_service():
    service = HttpService()
    yield service
    service.close()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.loop.call_soon_threadsafe(service.server.close)


def option(name: str, value: str, **more: Any) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, value=value), **more)


def test_a_question_is_what_envoy_s_definitions_say_and_the_answer_s_changes_count(tmp_path, app, service):
    action = HeaderValueOptionHeaderAppendAction

    async def answer(message: CheckRequest) -> CheckResponse:
        changes = [
            option("x-user", "ann"),
            option("x-own", "2", append=True),
            option("x-absent", "no", append_action=action.ADD_IF_ABSENT),
            option("x-present", "no", append_action=action.OVERWRITE_IF_EXISTS),
            option("transfer-encoding", "chunked"),
        ]
        told = [option("x-told", "a"), option("own", "auth"), option("server", "mine")]
        ok = OkHttpResponse(headers=changes, headers_to_remove=["cookie"], response_headers_to_add=told)
        return CheckResponse(status=Status(), ok_response=ok)

    service.answer = answer
    with Edge(tmp_path / "config", app, service.port, f"{GRPC}, forwardBody: {{maxSize: 1024}}") as edge:
        before = time.time()
        status, fields, body = edge.ask(
            "/a?b=c", "POST", b"x" * 100_000, x_own="1", cookie="c=d", x_absent="mine", content_type="text/plain"
        )
        assert (status, body) == (200, b"in")
        assert fields["x-told"] == "a" and fields["own"] == "app, auth" and fields["server"] == "istio-envoy"
        _, path, got, body = app.asked[-1]
        assert (path, len(body)) == ("/a?b=c", 100_000), "the service sees a part, the application the whole"
        assert (got["x-user"], got["x-own"], got["x-absent"]) == (["ann"], ["1", "2"], ["mine"])
        assert not got.keys() & {"cookie", "x-present", "transfer-encoding"}
        (asked,) = service.asked
        context = asked.attributes
        assert context is not None and context.request is not None and context.request.http is not None
        http_request = context.request.http
        assert (http_request.method, http_request.path, http_request.host) == ("POST", "/a?b=c", "shop.example")
        assert (http_request.scheme, http_request.protocol) == ("http", "HTTP/1.1")
        assert (http_request.body, http_request.raw_body, http_request.size) == ("x" * 1024, b"", 1024)
        assert (http_request.headers["x-own"], http_request.headers["cookie"]) == ("1", "c=d")
        assert http_request.id == got["x-request-id"][0]
        source = context.source.address.socket_address
        assert source.address == "127.0.0.1" and source.port_value == edge.connection.sock.getsockname()[1]
        assert before - 5 < context.request.time.timestamp() < time.time() + 5


def test_a_refusal_s_status_fields_and_body_are_the_client_s(tmp_path, app, service):
    async def answer(message: CheckRequest) -> CheckResponse:
        denied = DeniedHttpResponse(
            status=HttpStatus(code=StatusCode.Unauthorized), headers=[option("www-authenticate", "Basic")], body="who"
        )
        return CheckResponse(status=Status(code=PERMISSION_DENIED), denied_response=denied)

    service.answer = answer
    with Edge(tmp_path / "config", app, service.port, GRPC) as edge:
        count = len(app.asked)
        status, fields, body = edge.ask()
        assert (status, fields["www-authenticate"], body) == (401, "Basic", b"who")
        assert len(app.asked) == count
        until(lambda: " UAEX ext_authz_denied " in edge.stdout.read_text())
        assert edge.questions(response_code="200", request_protocol="grpc", grpc_response_status="0") == 1


def test_a_service_that_is_silent_or_gone_lets_nothing_pass(tmp_path, app, service):
    service.answer = service.hang
    with Edge(tmp_path / "config", app, service.port, GRPC, "  timeouts: {request: 300ms}\n") as edge:
        count = len(app.asked)
        assert edge.ask()[0] == 403 and service.cancelled.wait(10)
        service.close()
        assert edge.ask()[0] == 403 and len(app.asked) == count
        until(lambda: edge.stdout.read_text().count(" UAEX ext_authz_error ") == 2)
        assert edge.questions() == 2


def test_a_client_that_leaves_has_its_question_cancelled(tmp_path, app, service):
    service.answer = service.hang
    with Edge(tmp_path / "config", app, service.port, GRPC) as edge:
        with socket.create_connection(("127.0.0.1", edge.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            until(lambda: service.asked)
        assert service.cancelled.wait(10)
        until(lambda: edge.questions(response_flags="DC") == 1)


def test_many_questions_are_each_asked_answered_and_counted(tmp_path, app, service):
    async def answer(message: CheckRequest) -> CheckResponse:
        number = int(message.attributes.request.http.path[1:])
        if number % 3 == 0:
            return CheckResponse(status=Status(code=PERMISSION_DENIED))
        return CheckResponse(status=Status(), ok_response=OkHttpResponse(headers=[option("x-number", str(number))]))

    service.answer = answer
    with Edge(tmp_path / "config", app, service.port, GRPC) as edge:
        app.asked.clear()
        statuses = [edge.ask(f"/{number}")[0] for number in range(MANY)]
        assert statuses == [403 if number % 3 == 0 else 200 for number in range(MANY)]
        assert all(fields["x-number"] == [path[1:]] for _, path, fields, _ in app.asked)
        assert len(service.asked) == MANY
        until(lambda: edge.questions() == MANY)
        until(lambda: edge.stdout.read_text().count("\n") >= MANY)
        assert edge.stdout.read_text().count("\n") == MANY, "a question has no line of its own"


def test_a_server_over_http_lets_pass_or_answers_itself(tmp_path, app, http_service):
    wish = "protocol: HTTP, forwardBody: {maxSize: 4}, http: {path: /check, allowedHeaders: [x-own], "
    wish += "allowedResponseHeaders: [x-user]}"
    with Edge(tmp_path / "config", app, http_service.port, wish) as edge:
        assert edge.ask("/a", "POST", b"x" * 300_000, authorization="good", x_own="1", cookie="c=d")[0] == 200
        _, path, got, body = app.asked[-1]
        assert (path, got["x-user"], len(body)) == ("/a", ["ann"], 300_000) and "www-authenticate" not in got
        method, path, fields, shown = http_service.asked[-1]
        assert (method, path, shown) == ("POST", "/check/a", b"xxxx")
        assert (fields["authorization"], fields["x-own"]) == (["good"], ["1"]) and "cookie" not in fields
        status, fields, body = edge.ask("/b", authorization="bad")
        assert (status, fields["www-authenticate"], body) == (401, "Basic", b"who are you")
        status, _, body = edge.ask("/big", authorization="bad")
        assert (status, len(body)) == (401, 0), "of a body without bound nothing is passed on"
        assert edge.ask("/c", authorization="good")[0] == 200
        until(lambda: edge.questions() == 4 and edge.questions(response_code="401") == 2)
