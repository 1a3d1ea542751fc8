"""The live page of two nodes while rules change: what a canary, faults, retries and a mirror look like, whatever was in
force before."""

from __future__ import annotations

import asyncio
import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.running import Running, kubeconfig, running
from tests.clusters import endpoint_slice, pod, service, virtual_service
from tests.kubernetes.test_peers import AGENT, NAMESPACE, NODES, documents, slice_of_agents
from tests.unit.admin.browser import Tab, chromium
from tests.unit.admin.test_page import SMALL
from tests.unit.cli.mesh import Mesh, Upstream, free_port, until

GATEWAY = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "edge", "namespace": "default"},
    "spec": {
        "selector": {"istio": "ingress"},
        "servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["fe.example"]}],
    },
}
SUBSETS = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "demoapp", "namespace": "default"},
    "spec": {"host": "demoapp", "subsets": [{"name": each, "labels": {"version": each}} for each in ("v10", "v11")]},
}
RETRIES = {"attempts": 5, "retryOn": "5xx,connect-failure,refused-stream"}


def to(subset: str, **more: Any) -> dict[str, Any]:
    return {"destination": {"host": "demoapp", "subset": subset}, **more}


def abort(percentage: int) -> dict[str, Any]:
    return {"abort": {"percentage": {"value": percentage}, "httpStatus": 555}}


#: Rules for demoapp, by picture.
RULES = {
    "split": [{"name": "weight-based-routing", "route": [to("v10", weight=90), to("v11", weight=10)]}],
    "fault": [{"name": "canary", "route": [to("v11")], "fault": abort(20)}],
    "retries": [{"name": "canary", "route": [to("v11")], "fault": abort(50)}],
    "mirror": [
        {"name": "traffic-mirror", "route": [to("v10")], "mirror": {"host": "demoapp", "subset": "v11"}},
    ],
}


def ends(name: str, port: int, *pods: str) -> list[dict[str, Any]]:
    piece = endpoint_slice(name, *((each, "127.0.0.1") for each in pods))
    piece["metadata"]["name"] = "-".join((name, *pods))
    piece["ports"] = [{"name": "http", "port": port}]
    return [piece, *(pod(each, app=name, version=each.rpartition("-")[2]) for each in pods)]


class Shop:
    """A gateway on one node, the app `proxy` on the other, which asks `demoapp` in two versions; and who asks all the
    time."""

    def __init__(self, server: Running, folder: Path, stack: ExitStack) -> None:
        self.server = server
        self.port = free_port()
        self.called = 0  # where the app asks demoapp
        self.app = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.app.daemon_threads = True
        threading.Thread(target=self.app.serve_forever, args=(0.02,), daemon=True).start()
        stack.callback(self.app.server_close)
        stack.callback(self.app.shutdown)
        upstreams = {version: Upstream(version) for version in ("v10", "v11")}
        for upstream in upstreams.values():
            stack.callback(upstream.close)
        front = virtual_service("proxy", hosts=["fe.example"], gateways=["default/edge"])
        front["spec"]["http"][0]["retries"] = RETRIES
        objects = [*documents("rbac.yaml"), *documents("service.yaml"), slice_of_agents(self.port, NODES)]
        objects += [GATEWAY, SUBSETS, front, service("proxy", 80), service("demoapp", 8080)]
        objects += ends("proxy", self.app.server_address[1], "proxy-1")
        for version, upstream in upstreams.items():
            objects += ends("demoapp", upstream.port, f"demoapp-{version}")
        objects.append(pod("ingress-1", app="ingress", istio="ingress"))
        server.call(lambda api: api.apply(*objects))
        server.call(lambda api: api.accounts.update({AGENT: f"{NAMESPACE}/nodemesh-agent"}))
        self.rule("split")
        door = free_port()
        options = (
            "--gateway",
            "istio=ingress",
            "--gateway-listen",
            f"80=127.0.0.1:{door}",
            "--as",
            "default/ingress-1",
        )
        self.gateway = stack.enter_context(self._agent(folder, "node-a", (), *options))
        mesh = stack.enter_context(self._agent(folder, "node-b", ("demoapp:8080",), "--as", "default/proxy-1"))
        self.called = mesh.exposed["demoapp:8080"]
        self.ended = threading.Event()
        asking = threading.Thread(target=self._ask, args=(door,))
        asking.start()
        stack.callback(asking.join)
        stack.callback(self.ended.set)

    def rule(self, picture: str) -> None:
        self.server.call(lambda api: api.apply(virtual_service("demoapp", http=RULES[picture])))

    def _agent(self, folder: Path, node: str, expose: tuple[str, ...], *options: str) -> Mesh:
        home = folder / node
        (home / "config").mkdir(parents=True)
        (home / "token").write_text(AGENT)
        config = kubeconfig(home / "kubeconfig", self.server.url, {"token": AGENT})
        peers = ("--peers", f"{NODES[node]}:{self.port}", "--peers-token", str(home / "token"))
        return Mesh(
            home / "config", "--kubeconfig", str(config), "--node", node, *peers, *options, expose=expose, patience=60.0
        )

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status = get(f"http://127.0.0.1:{shop.called}/", "demoapp:8080")
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _ask(self, door: int) -> None:
        while not self.ended.wait(0.04):
            get(f"http://127.0.0.1:{door}/", "fe.example")


def get(url: str, host: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"host": host}), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 502


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[Shop]:
    with running() as server, ExitStack() as stack:
        yield Shop(server, tmp_path_factory.mktemp("shop"), stack)


APP, DOOR = "service/default/demoapp", "workload/default/ingress-1>service/default/proxy>http"
CALL = f"service/default/proxy>{APP}>http"


def said(place: str) -> str:
    return f"(document.querySelector('[data-node=\"{place}\"]')?.textContent ?? '')"


def fails(edge: str) -> str:
    """Per cent, as the edge's title has it."""
    title = f"document.querySelector('[data-edge=\"{edge}\"] title')?.textContent ?? ''"
    return f"Number(({title}).match(/([0-9.]+) % fail/)?.[1] ?? -1)"


SHOWN = {
    "split": f"/v10(8[5-9]|9[0-5]) %/.test({said(APP)}) && /v11([5-9]|1[0-5]) %/.test({said(APP)})",
    "fault": f"{fails(CALL)} > 10 && {fails(CALL)} < 30 && document.querySelector('[data-edge=\"{CALL}\"].bad')",
    "retries": f"{fails(CALL)} > 40 && {fails(DOOR)} >= 0 && {fails(DOOR)} < 15",
    "mirror": f"/v10100 %/.test({said(APP)}) && /v11mirror (9[0-9]|10[0-9]) %/.test({said(APP)})",
}


def test_each_of_four_rules_has_its_picture_and_a_click_says_why(shop, tmp_path):
    async def whole() -> None:
        async with chromium(tmp_path / "browser") as tab:
            await tab.show(f"http://{shop.gateway.admin}/", 1280)
            for picture in (*RULES, *reversed(RULES)):
                shop.rule(picture)
                await tab.until(f"document.querySelector('[data-edge=\"{CALL}\"]')")
                await choose_window(tab)
                await tab.until(SHOWN[picture])
                await tab.picture(tmp_path / f"{picture}.png")
                if picture == "retries":
                    await explains(tab)
                    await tab.picture(tmp_path / "explained.png")
                    await tab.click(".panel .close")
            assert await tab.run("document.querySelector('.nodes').textContent.trim()") == "2 nodes"
            assert await tab.run("document.querySelector('.command').textContent") == "nodemesh top --kubernetes"
            assert await tab.run(SMALL) == []
            assert not tab.errors

    until(lambda: {row["source"] for row in shop.gateway.api("/graph?window=60&mesh=1")["edges"]} >= {
        "workload/default/ingress-1", "service/default/proxy"
    })  # fmt: skip
    asyncio.run(asyncio.wait_for(whole(), 180))


async def choose_window(tab: Tab) -> None:
    """The longest one: what was before a rule never leaves it here."""
    await tab.run(
        "(() => { const it = document.querySelector('select[aria-label=window]'); it.value = '900';"
        " it.dispatchEvent(new Event('change', { bubbles: true })) })()"
    )


async def explains(tab: Tab) -> None:
    await tab.click(".list .edges li button")
    await tab.click(".panel .explain")
    explained = str(await tab.until("document.querySelector('.explanation')?.textContent"))
    assert "555" in explained and "FI" in explained and "default/demoapp" in explained, explained
