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
    command += ["--admin", "127.0.0.1:15000", "--access-log", folder / f"{name}.access", "--run-dir", folder / name]
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
