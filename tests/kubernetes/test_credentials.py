"""A pod's client certificate out of its namespace's Secret, for those that a workloadSelector selects, and a server's
authority out of a ConfigMap: each by a right that somebody gave."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509
from tests.apiserver.running import Running, kubeconfig, running
from tests.apiserver.server import ApiServer
from tests.clusters import NODE, pod
from tests.kubernetes.test_manifests import MANIFESTS
from tests.unit.cli.mesh import Mesh, until

from nodemesh.cli.main import cli
from nodemesh.lab.certificates import Authority

RBAC = "rbac.authorization.k8s.io"
OUTSIDE = "outside.example"
NAME = f"{OUTSIDE}:80"
ROLE: dict[str, Any] = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "Role",
    "metadata": {"name": "client", "namespace": "default"},
    "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["client"], "verbs": ["list", "watch"]}],
}
BINDING = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "client", "namespace": "default"},
    "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "client"},
    "subjects": [{"kind": "ServiceAccount", "name": "nodemesh-agent", "namespace": "nodemesh-system"}],
}


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def outside(authority, tmp_path):
    """A server that answers with the names in its clients' certificates; its port."""
    pair = authority.issue(OUTSIDE)
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=authority.certificate.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
                with context.wrap_socket(plain, server_side=True) as sock:
                    sock.recv(65536)
                    shown = sock.getpeercert()
                    name = shown["subject"][0][0][1].encode() if shown else b"nobody"
                    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(name)}\r\nconnection: close\r\n\r\n"
                    sock.sendall(head.encode() + name)
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def rules(port: int, selector: dict | None, credential: str = "client", mode: str = "MUTUAL") -> list[dict]:
    entry = {
        "hosts": [OUTSIDE],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"http": port}}],
    }
    rule = {"host": OUTSIDE, "trafficPolicy": {"tls": {"mode": mode, "credentialName": credential}}}
    if selector is not None:
        rule["workloadSelector"] = {"matchLabels": selector}
    meta = {"name": "outside", "namespace": "default"}
    version = "networking.istio.io/v1"
    return [
        {"apiVersion": version, "kind": "ServiceEntry", "metadata": meta, "spec": entry},
        {"apiVersion": version, "kind": "DestinationRule", "metadata": meta, "spec": rule},
    ]


@contextmanager
def meshed(tmp_path: Path, *objects: dict) -> Iterator[tuple[Running, Mesh]]:
    """A cluster with these objects and a pod, `default/client`, and an agent with the rights of the manifests."""
    api = ApiServer()
    api.apply(*yaml.safe_load_all((MANIFESTS / "agent/rbac.yaml").read_text()))
    api.accounts["agent"] = "nodemesh-system/nodemesh-agent"
    api.apply(pod("client", node=NODE, ip="10.9.0.1"), *objects)
    (tmp_path / "config").mkdir()
    with running(api) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url, {"token": "agent"})
        with Mesh(tmp_path / "config", "--kubeconfig", str(config), "--node", NODE, expose=(NAME,)) as agent:
            yield server, agent


def error(agent: Mesh, *secrets: str) -> str:
    """Why the agent does not have what the rule names; empty where it has."""
    (row,) = agent.api("/status")["certificates"]
    assert row["used_by"] == "DestinationRule default/outside" and row["secrets"] == [*secrets]
    return row["error"]


def asked_for_secrets(server: Running) -> bool:
    return server.call(lambda api: any(row.path.endswith("/secrets") for row in api.asked))


def test_a_selected_pods_secret_is_read_by_the_right_that_was_given(tmp_path, authority, outside):
    pair = authority.issue("cart")
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    meta = {"name": "client", "namespace": "default"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": encoded}
    with meshed(tmp_path, secret, *rules(outside, None)) as (server, agent):
        assert "workloadSelector" in error(agent, "default/client") and agent.curl(name=NAME).status == 503
        assert not asked_for_secrets(server)
        server.call(lambda api: api.apply(*rules(outside, {"app": "client"})))
        until(lambda: 'cannot watch resource "secrets"' in error(agent, "default/client"))
        assert agent.curl(name=NAME).status == 503, "what a rule secures is never sent in plain text"
        server.call(lambda api: api.apply(ROLE, BINDING))
        until(lambda: error(agent, "default/client") == "")
        until(lambda: agent.curl(name=NAME) == (200, "cart"))
        (row,) = agent.api("/status")["certificates"]
        assert row["ends"] == x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc.timestamp()
        told = CliRunner().invoke(cli, ["status", "-o", "wide", "--admin", agent.admin]).stdout
        assert "credentialName" in told and ": ends in " in told and "CERTIFICATES USED BY" in told
        assert pair.certificate.decode() not in told


CONFIG_MAP = "configmap://default/ca"


def config_map(authority: Authority) -> dict:
    data = {"ca.crt": authority.certificate.decode()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "default"}, "data": data}


def test_a_config_maps_authority_is_read_by_the_right_that_was_given(tmp_path, authority, outside):
    others = config_map(Authority("another"))
    with meshed(tmp_path, others, *rules(outside, None, CONFIG_MAP, "SIMPLE")) as (server, agent):
        until(lambda: 'cannot watch resource "configmaps"' in error(agent, CONFIG_MAP))
        assert agent.curl(name=NAME).status == 503
        rule = {**ROLE["rules"][0], "resources": ["configmaps"], "resourceNames": ["ca"]}
        server.call(lambda api: api.apply({**ROLE, "rules": [rule]}, BINDING))
        until(lambda: error(agent, CONFIG_MAP) == "")
        assert agent.curl(name=NAME).status == 503, "it is the authority of others"
        server.call(lambda api: api.apply(config_map(authority)))
        until(lambda: agent.curl(name=NAME) == (200, "nobody"))
        assert not asked_for_secrets(server)


def test_a_config_map_in_a_folder(tmp_path, authority, outside):
    (tmp_path / "config").mkdir()
    objects = [*rules(outside, None, CONFIG_MAP, "SIMPLE"), config_map(authority)]
    (tmp_path / "config" / "outside.yaml").write_text(yaml.safe_dump_all(objects))
    with Mesh(tmp_path / "config", expose=(NAME,)) as agent:
        assert agent.curl(name=NAME) == (200, "nobody")
