"""The ways to the API server: a pod's service account over TLS, and what is told where there is none."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess

import pytest
from tests.apiserver.running import Running, kubeconfig
from tests.apiserver.server import ApiServer as Server

from nodemesh.registry.sources.api import ApiError
from nodemesh.registry.sources.kubernetes import ApiServer, LoginError, from_kubeconfig, in_cluster

NAMESPACES = "/api/v1/namespaces"


def authority(folder, name):
    """A certificate of its own authority for 127.0.0.1, and a server's context with it."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_a_pod_uses_its_service_account_and_notices_when_it_is_rotated(tmp_path):
    async def story():
        certificate, context = authority(tmp_path, "first")
        server = Server()
        server.faults.token = "one"
        running = Running(server, asyncio.get_running_loop(), context)
        await running.open()
        token, ca = tmp_path / "token", tmp_path / "ca.crt"
        token.write_text("one")
        ca.write_text(certificate.read_text())
        environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(running.port)}
        api = ApiServer(lambda: in_cluster(str(token), str(ca), environment))
        try:
            assert json.loads(await api.get(NAMESPACES, {}, "application/json"))["kind"] == "NamespaceList"
            server.faults.token = "two"
            with pytest.raises(ApiError, match="401"):
                await api.get(NAMESPACES, {}, "application/json")
            token.write_text("two")
            await api.get(NAMESPACES, {}, "application/json")
            await running.close()
            certificate, running.tls = authority(tmp_path, "second")
            await running.open()
            with pytest.raises(ApiError, match="certificate"):
                await api.get(NAMESPACES, {}, "application/json")
            ca.write_text(certificate.read_text())
            await api.get(NAMESPACES, {}, "application/json")
        finally:
            await api.close()
            await running.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contexts: []", "not a usable kubeconfig"),
        ("", "not a usable kubeconfig: it does not hold one object with current-context"),
        ("hello", "it does not hold one object"),
        ("a: {", "kubeconfig:2:1: this is not YAML"),
        ("a: 1\n---\nb: 1", "it does not hold one object"),
        ("a: !!python/name:os.x x", "could not determine a constructor"),
        (None, "does not exist"),
    ],
)
def test_what_is_no_kubeconfig_is_told(tmp_path, text, told):
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LoginError, match=told):
        asyncio.run(from_kubeconfig(str(path)))


def test_outside_of_a_cluster_there_is_no_service_account():
    with pytest.raises(LoginError, match="no pod of a cluster"):
        asyncio.run(in_cluster(environment={}))


def test_newer_pythons_ask_no_more_of_an_authority_than_kubectl_does(tmp_path, monkeypatch):
    """Python 3.13 does by default."""
    make = ssl.create_default_context

    def strict(**given):
        context = make(**given)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    async def story():
        monkeypatch.setattr(ssl, "create_default_context", strict)
        api = ApiServer(lambda: from_kubeconfig(str(kubeconfig(tmp_path / "config", "https://127.0.0.1:9"))))
        try:
            client = await api._logged_in()
            assert not client.rest_client.ssl_context.verify_flags & ssl.VERIFY_X509_STRICT
        finally:
            await api.close()

    asyncio.run(story())
