"""The API over a real socket, with a node made of plain values behind it."""

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request

import msgspec
import pytest
from tests.unit.admin.meshes import PageNode
from tests.unit.admin.nodes import FakeNode, ask

from nodemesh import __version__
from nodemesh.admin import http as admin_http
from nodemesh.admin.http import FOR_ANYONE, SILENT, is_near, serve
from nodemesh.admin.state import (
    ExplainQuery,
)
from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.registry.carry import decode_snapshot
from nodemesh.telemetry.totals import Totals


def test_readiness_names_what_is_missing():
    node = FakeNode()
    assert ask(node, "/healthz", "/readyz") == [(200, {"status": "ok"}), (200, {"ready": True, "missing": []})]
    node.lacking = ["1 of 2 workers have not applied tables 3"]
    assert ask(node, "/readyz") == [(503, {"ready": False, "missing": node.lacking})]


def test_services_show_mode_and_readiness_by_port():
    ((status, (service,)),) = ask(FakeNode(), "/services")
    assert status == 200
    assert service["location"] == "mesh.yaml:3:1"
    assert service["ports"] == [
        {
            "port": 9080,
            "name": "http",
            "protocol": "HTTP",
            "endpoints": 2,
            "ready": 1,
            "mode": "proxy",
            "mode_reason": "reviews.default.svc.cluster.local:9080 has HTTP rules",
            "upstream_http": "http/2",
            "http_reason": "port_protocol",
            "http_rules_bypassed": {"tls": 2},
            "kernel_endpoints": [
                {
                    "address": "10.1.0.5",
                    "port": 9080,
                    "opened": 3,
                    "failed": 1,
                    "closed": 0,
                    "sent": 0,
                    "received": 0,
                }
            ],
        }
    ]


def test_endpoints_pods_problems_and_metrics():
    endpoints, pods, problems, metrics = ask(FakeNode(), "/endpoints", "/pods", "/config/problems", "/metrics")
    assert [row["health"] for row in endpoints[1]] == ["ready", "unready"]
    assert pods[1][0]["why_not"] == "the pod has finished"
    assert (problems[1][0]["line"], problems[1][0]["code"]) == (9, "unknown-field")
    assert metrics == (200, b"nodemesh_ready 1.0\n")


def test_answers_for_all_nodes_name_those_that_were_not_heard():
    async def scenario() -> list[str | None]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await serve(FakeNode(), listener)
        host, port = listener.getsockname()
        found = [
            (await asyncio.to_thread(urllib.request.urlopen, f"http://{host}:{port}{path}", timeout=5)).headers[SILENT]
            for path in ("/pods?mesh=1", "/decisions?mesh=1", "/pods", "/decisions")
        ]
        await runner.cleanup()
        return found

    assert asyncio.run(scenario()) == ["there: no answer??within 1 s"] * 2 + [None] * 2
    picture, agents, wrong = ask(FakeNode(), "/graph?window=60&mesh=1", "/agents", "/graph?mesh=1")
    assert picture[1]["silent"] == [{"node": "there", "why": "no answer\r\nwithin 1 s"}]
    assert [(row["node"], row["error"][:9]) for row in agents[1]] == [("here", ""), ("there", "no answer")]
    assert wrong[0] == 400 and "give window, too" in wrong[1]["error"]


def test_packing_gives_way_to_all_else(monkeypatch):
    """In a thread of its own: the event loop's keeps its priority."""
    seen = []

    class Pack:
        def compress(self, piece):
            seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return piece

        def flush(self):
            return b"."

    monkeypatch.setattr(admin_http, "packer", Pack)

    async def scenario():
        own = os.getpriority(os.PRIO_PROCESS, 0)
        body = await admin_http.AdminApi(FakeNode())._zipped(iter((b"a", b"b")))
        assert (body, seen, os.getpriority(os.PRIO_PROCESS, 0)) == (b"ab.", [max(own, admin_http.NICE)] * 2, own)

    asyncio.run(scenario())


def test_metrics_come_zipped_to_who_takes_that():
    async def scenario(accepted: str) -> tuple[str | None, bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await serve(FakeNode(), listener)
        host, port = listener.getsockname()
        asked = urllib.request.Request(f"http://{host}:{port}/metrics", headers={"Accept-Encoding": accepted})
        found = await asyncio.to_thread(fetch, asked)
        await runner.cleanup()
        return found

    def fetch(asked: urllib.request.Request) -> tuple[str | None, bytes]:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.headers["Content-Encoding"], answer.read()

    for accepted in ("gzip", "deflate, gzip;q=0.5"):
        coding, body = asyncio.run(scenario(accepted))
        assert (coding, gzip.decompress(body)) == ("gzip", b"nodemesh_ready 1.0\n")
    for accepted in ("", "identity", "gzip;q=0", "gzip; q=0.0"):
        assert asyncio.run(scenario(accepted)) == (None, b"nodemesh_ready 1.0\n")


def test_connections_show_the_last_requests_newest_first():
    ((_, found),) = ask(FakeNode(), "/connections")
    assert found["open"] == [{"client": "default/a"}]
    assert [row["status"] for row in found["recent"]] == [503, 200]


def test_the_graph_draws_services_and_the_workloads_behind_them():
    ((_, found),) = ask(FakeNode(), "/graph")
    edges = {(edge["source"], edge["target"]): edge for edge in found["edges"]}
    asked = edges["workload/default/productpage-v1", "service/default/reviews"]
    assert (asked["requests"], asked["errors"], asked["p50_ms"]) == (2, 1, 25.0)
    assert ("service/default/reviews", "workload/default/reviews-v2") in edges


def test_explain_takes_its_question_from_the_query():
    node = FakeNode()
    query = urllib.parse.urlencode(
        [("url", "http://reviews:9080/x"), ("method", "POST"), ("header", "end-user: jason"), ("as", "default/a")]
    )
    assert ask(node, f"/explain?{query}&gateway=istio=ingress") == [(200, {"outcome": "route"})]
    assert node.asked == [
        ExplainQuery(
            method="POST",
            url="http://reviews:9080/x",
            headers=(("end-user", "jason"),),
            client="default/a",
            gateway=(("istio", "ingress"),),
        )
    ]


@pytest.mark.parametrize("path", ["/explain", "/explain?url=nonsense", "/explain?url=http://a/&header=x"])
def test_a_wrong_question_is_answered_with_a_sentence(path):
    ((status, found),) = ask(FakeNode(), path)
    assert status == 400
    assert found["error"]


def test_unknown_paths_and_methods_are_json_too():
    assert ask(FakeNode(), "/nothing")[0] == (404, {"error": "GET /nothing: Not Found"})
    assert ask(FakeNode(), "/status", method="POST")[0][0] == 405


def test_counts_without_traffic_make_an_empty_graph():
    from nodemesh.admin import graph

    assert graph.build(Totals()) == {"nodes": [], "edges": []}
    assert graph.quantile([0] * 20, 0.5) is None


def test_a_picture_has_a_window_and_a_time():
    node = PageNode(5)
    (status, found), (bad, error), (far, _) = ask(
        node, "/graph?window=60", "/graph?window=x", "/graph?window=60&back=100000"
    )
    assert status == 200 and found["edges"] and found["namespaces"] == ["bookinfo"]
    assert found["changes"][0]["version"] == 7
    assert (bad, far) == (400, 400) and "seconds" in error["error"]
    ((_, before),) = ask(node, "/graph?window=60&back=900")
    assert before["edges"] == [] and before["missing"]


def test_decisions_are_those_of_a_client_a_service_or_failures():
    node = PageNode(5)
    host = "ratings.bookinfo.svc.cluster.local"
    (_, every), (_, failed), (_, others), (_, of_namespace), (_, of_nobody) = ask(
        node, f"/decisions?host={host}", f"/decisions?failed=1&client=bookinfo/reviews-v1&host={host}",
        "/decisions?client=bookinfo/nobody", f"/decisions?host={host}&namespace=bookinfo", "/decisions?namespace=book",
    )  # fmt: skip
    assert {row["host"] for row in every} == {host}
    assert failed and all(row["failed"] and row["workload"] == "reviews-v1" for row in failed)
    assert [row["started"] for row in every] == sorted((row["started"] for row in every), reverse=True)
    assert others == [] and of_nobody == []
    assert {row["client"].partition("/")[0] for row in of_namespace} == {"bookinfo"}


def test_the_live_picture_comes_as_events():
    async def scenario() -> list[bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await serve(PageNode(5), listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET /graph/live?window=60 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        lines = []
        while len([line for line in lines if line.startswith(b"data: ")]) < 2:
            lines.append(await asyncio.wait_for(reader.readline(), 10))
        writer.close()
        await runner.cleanup()
        return lines

    lines = asyncio.run(scenario())
    assert any(b"text/event-stream" in line for line in lines)
    frames = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]
    assert frames[0]["edges"] and frames[1]["as_of"] > frames[0]["as_of"]


def test_endpoints_tell_their_true_state():
    ((_, rows),) = ask(FakeNode(), "/endpoints")
    assert [(row["in_flight"], row["ejected_for"]) for row in rows] == [(3, 2.0), (None, None)]


def asked(node: FakeNode, *hosts: str, bind: str = "127.0.0.1") -> list[int]:
    """The statuses of one request to /status for each Host field."""

    def fetch(port: int, host: str) -> int:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(f"GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return int(sock.recv(4096).split()[1])

    async def scenario() -> list[int]:
        listener = socket.create_server((bind, 0))
        runner = await serve(node, listener)
        statuses = [await asyncio.to_thread(fetch, listener.getsockname()[1], host) for host in hosts]
        await runner.cleanup()
        return statuses

    return asyncio.run(scenario())


def test_only_who_asks_for_this_api_is_answered():
    own = ("localhost", "LOCALHOST:15000", "127.0.0.1:15000", "127.0.0.7", "[::1]:15000", "localhost.")
    others = (
        "evil.example",
        "evil.example:15000",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "localhost.evil.example",
        "[fe80::1]",
    )
    assert asked(FakeNode(), *own) == [200] * len(own)
    assert asked(FakeNode(), *others) == [403] * len(others)
    assert asked(FakeNode(), "127.0.0.1", "evil.example", bind="0.0.0.0") == [200, 403]


def test_hosts_that_the_operator_lists_are_the_apis_too():
    node = FakeNode()
    mesh = MeshConfigSpec(admin_hosts=("Nodemesh.example", "192.0.2.1"))
    node.snapshot = msgspec.structs.replace(node.snapshot, mesh=mesh)
    assert asked(node, "nodemesh.EXAMPLE:80", "192.0.2.1:15000", "other.example") == [200, 200, 403]


def test_who_comes_by_another_address_than_loopback_reads_what_anyone_may():
    near = ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")
    far = ("10.1.0.5", "192.0.2.1", "::ffff:10.1.0.5", "fe80::1%eth0", "2001:db8::1", "", None)
    assert all(is_near(client, ()) for client in near)
    assert not any(is_near(client, ()) for client in far)
    assert [client for client in far if is_near(client, ("10.1.0.0/16", "2001:db8::/32"))] == [
        "10.1.0.5",
        "::ffff:10.1.0.5",
        "2001:db8::1",
    ]
    assert frozenset({"/healthz", "/readyz", "/metrics"}) == FOR_ANYONE


def test_what_is_behind_a_question_mark_is_not_shown():
    node = FakeNode()
    node.open = [{"client": "default/a", "request": "/login?token=secret"}, {"client": "default/b"}]
    ((_, body),) = ask(node, "/connections")
    assert [row.get("request") for row in body["open"]] == ["/login?…", None]
    assert all(row["path"] == "/reviews/1?…" for row in body["recent"]) and "secret" not in str(body)


def test_each_answer_says_that_it_is_an_agents():
    async def scenario() -> list[str | None]:
        listener = socket.create_server(("127.0.0.1", 0))
        runner = await serve(FakeNode(), listener)
        port = listener.getsockname()[1]
        found = [await asyncio.to_thread(said, port, path) for path in ("/version", "/nothing", "/metrics", "/")]
        await runner.cleanup()
        return found

    def said(port: int, path: str) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        with contextlib.closing(connection):
            return connection.getresponse().headers["Nodemesh-Version"]

    assert asyncio.run(scenario()) == [__version__] * 4


def test_the_snapshot_comes_whole():
    node = FakeNode()
    ((status, body),) = ask(node, "/snapshot")
    assert status == 200 and decode_snapshot(body).services == node.snapshot.services
