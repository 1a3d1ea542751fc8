"""Gateways as pods of the lab: a pod without a sidecar, the egress gateway, the outside; and the way in."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.netns.mesh import MESH
from tests.netns.test_edge_outside import SHOP, curl, entry

import nodemesh
from nodemesh.lab import LabPort
from nodemesh.lab.certificates import Authority

SOURCE = Path(nodemesh.__file__).parents[1]


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def outside(mesh, authority, tmp_path):
    pair = authority.issue("shop.example")
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    pod = mesh.lab.pod("outside", namespace="outside", annotations={MESH: "disabled"})
    pod.popen([sys.executable, Path(__file__).with_name("outside.py"), "outside", tmp_path])
    for port in (80, 443, 8443):
        pod.wait_listening(port)
    return pod


@contextmanager
def gateway(mesh, name, listen, folder):
    """A pod that is the gateway `name`, listening as a gateway's Deployment does, on the mesh's own configuration."""
    labels = {"istio": name}
    pod = mesh.lab.pod(name, namespace="istio-system", labels=labels, annotations={MESH: "disabled"})
    log = (folder / f"{name}.log").open("wb")
    command = [sys.executable, "-m", "nodemesh", "run", "--gateway", f"istio={name}", "--ebpf", "off", "--workers", "1"]
    command += ["--admin", "0.0.0.0:15000", "--access-log", folder / f"{name}.access", "--run-dir", folder / name]
    for path in (mesh.agent.folder, mesh.lab.manifests_folder):
        command += ["--config", path]
    for port, at in listen.items():
        command += ["--gateway-listen", f"{port}=0.0.0.0:{at}"]
    process = pod.popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=log, stderr=log)
    for at in listen.values():
        pod.wait_listening(at)
    try:
        yield pod
    finally:
        process.terminate()
        process.wait(10)
        log.close()


EGRESS = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: default}
spec:
  selector: {istio: egressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  gateways: [egress, mesh]
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: egressgateway.istio-system.svc.cluster.local, port: {number: 80}}}]
  - match: [{gateways: [egress], port: 80}]
    route: [{destination: {host: shop.example, port: {number: 443}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy:
    portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE, caCertificates: FOLDER/ca.pem}}]
"""


ADMIN_CLIENTS = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: admin}}
spec: {{adminClients: [{network}]}}
"""


def test_a_pod_leaves_by_the_egress_gateway(mesh, pod, outside, tmp_path):
    ports = "{number: 80, name: http, protocol: HTTP}, {number: 443, name: https, protocol: HTTP}"
    with gateway(mesh, "egressgateway", {80: 8080}, tmp_path) as egress:
        served = LabPort(80, target=8080, name="http")
        selector = {"istio": "egressgateway"}
        mesh.lab.service("egressgateway", namespace="istio-system", ports=[served], selector=selector)
        mesh.settle()
        shop = entry("shop", "shop.example", SHOP, ports, outside.ip)
        mesh.apply(shop + EGRESS.replace("FOLDER", str(tmp_path)))
        told: dict[str, Any] = {}

        def through():
            nonlocal told
            status, body = curl(pod, "http://shop.example/cart", SHOP)
            told = json.loads(body) if status == 200 else {}
            return bool(told)

        mesh.agent.wait_for(through, "the gateway to follow", 15)
        assert (told["path"], told["tls"], told["peer"]) == ("/cart", "TLSv1.3", egress.ip)
        assert told["headers"]["x-forwarded-for"] == pod.ip
        assert told["headers"]["x-envoy-external-address"] == pod.ip


def test_pods_read_health_and_metrics_of_the_admin_api_and_its_own_loopback_all(mesh, pod, tmp_path):
    """Here no NetworkPolicy is enforced. `kubectl port-forward` ends on the loopback of the agent's namespace."""
    known = dict.fromkeys(("/healthz", "/readyz", "/metrics"), 200)
    others = dict.fromkeys(("/status", "/", "/version", "/config/problems"), 200)

    def status(client, host, path):
        return curl(client, f"http://{host}:15000{path}", host)[0]

    def statuses(client, host):
        return {path: status(client, host, path) for path in (*known, *others, "/nothing")}

    with gateway(mesh, "admin", {80: 8080}, tmp_path) as agent:
        mesh.agent.wait_for(lambda: status(agent, "127.0.0.1", "/readyz") == 200, "the gateway to be ready", 15)
        assert statuses(agent, "127.0.0.1") == known | others | {"/nothing": 404}
        assert statuses(pod, agent.ip) == known | dict.fromkeys((*others, "/nothing"), 403)
        code, body = curl(pod, f"http://{agent.ip}:15000/graph/live?window=60", agent.ip)
        assert code == 403 and "adminClients" in json.loads(body)["error"]
        mesh.apply(ADMIN_CLIENTS.format(network=f"{pod.ip}/32"))
        mesh.agent.wait_for(lambda: status(pod, agent.ip, "/status") == 200, "the setting to count", 15)
        assert status(agent, agent.ip, "/status") == 403
