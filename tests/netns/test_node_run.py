"""The agent on a node with pods: real eBPF, real processes, killed in every way."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodemesh.datapath.attach import attached
from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.pins import Pins
from nodemesh.lab import Lab, Pod
from nodemesh.lab.agent import Agent

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    def do_GET(self):
        body = (sys.argv[1] + ' ' + self.client_address[0]).encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('0.0.0.0', 80), Handler).serve_forever()
"""

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http:
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: teapot}}
  - route: [{destination: {host: web}}]
"""


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("run") as made:
        server = made.pod("web-1", labels={"app": "web"}, ports={"http": 80})
        server.popen(["python3", "-c", SERVER, "web-1"])
        server.wait_listening(80)
        made.service("web", ports=[80], selector={"app": "web"})
        yield made


@pytest.fixture
def client(lab: Lab) -> Pod:
    return lab.pod("client", labels={"app": "client"})


@pytest.fixture
def agent(lab: Lab, client: Pod) -> Iterator[Agent]:
    made = Agent(lab)
    made.apply(RULES, "rules")
    made.start()
    made.wait_enrolled(lab.pods.values())
    yield made
    made.stop()


def test_requests_are_routed_and_keep_the_pods_address(lab, client, agent):
    assert client.request("http://web/teapot")[0].status == 418
    assert client.request("http://web/")[0].body == f"web-1 {client.ip}"
