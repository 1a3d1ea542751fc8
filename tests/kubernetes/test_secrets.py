"""Secrets from the API server: only those that rules name, one by one, within the rights of the manifests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from pathlib import Path

import yaml
from tests.apiserver.server import ApiServer

from nodemesh.registry.sources.secrets import SecretSource

MANIFESTS = Path(__file__).parents[2] / "manifests"
GATEWAY = "nodemesh-system/nodemesh-gateway"


def secret(name: str, namespace: str = "nodemesh-system", kind: str = "kubernetes.io/tls", **data: str) -> dict:
    encoded = {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind, "data": encoded}


def guarded() -> ApiServer:
    """A server that lets everybody do what the manifests allow; tests speak to it as the gateway."""
    api = ApiServer()
    for path in ("agent/rbac.yaml", "gateway/rbac.yaml"):
        api.apply(*yaml.safe_load_all((MANIFESTS / path).read_text()))
    api.accounts[""] = GATEWAY
    return api


@contextlib.asynccontextmanager
async def source(follower, *wanted: str):
    changes: list[None] = []
    made = SecretSource(follower.api, lambda: 0.0, lambda: changes.append(None))
    made.want(wanted)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def data(made: SecretSource) -> dict[str, dict[str, bytes] | dict[str, str]]:
    return {key: spec.data for key, spec in made.secrets.items()}


def running() -> set[str]:
    """The watches of Secrets."""
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("secret-")}


def test_only_what_is_wanted_is_asked_for_and_followed(play):
    api = guarded()
    api.apply(secret("web", tls_key="one"), secret("other", tls_key="hidden"), secret("web", "shop", tls_key="foreign"))

    async def story(follower):
        async with source(follower, "nodemesh-system/web") as made:
            assert made.waiting_for() == ["Secret nodemesh-system/web"]
            await follower.until(lambda: data(made) == {"nodemesh-system/web": {"tls.key": b"one"}})
            assert made.waiting_for() == []
            api.apply(secret("web", tls_key="two"), secret("other", tls_key="still hidden"))
            await follower.until(lambda: data(made) == {"nodemesh-system/web": {"tls.key": b"two"}})
            made.want(["nodemesh-system/web", "nodemesh-system/other"])
            assert made.waiting_for() == [], "nobody waits for what is wanted later"
            await follower.until(lambda: len(made.secrets) == 2)
            made.want(["nodemesh-system/other"])
            assert set(made.secrets) == {"nodemesh-system/other"}
            await follower.until(lambda: running() == {"secret-nodemesh-system/other"})

    play(story, api)


def test_every_watch_has_a_connection(play):
    """aiohttp's pools are bounded, unless told otherwise: what is beyond would wait for ever."""
    api = guarded()
    names = [f"web-{number}" for number in range(120)]
    api.apply(*(secret(name, tls_key=name) for name in names))

    async def story(follower):
        async with source(follower, *(f"nodemesh-system/{name}" for name in names)) as made:
            await follower.until(lambda: len(made.secrets) == len(names))
            api.apply(secret(names[-1], tls_key="new"))
            await follower.until(lambda: data(made)[f"nodemesh-system/{names[-1]}"] == {"tls.key": b"new"})
            assert running() == {f"secret-nodemesh-system/{name}" for name in names}

    play(story, api)


def test_what_is_absent_is_told_when_the_server_has_said_so(play):
    api = guarded()

    async def story(follower):
        async with source(follower, "nodemesh-system/web") as made:
            assert made.why_absent("nodemesh-system/web") == ""
            await follower.until(lambda: not made.waiting_for())
            assert made.why_absent("nodemesh-system/web") == "there is no Secret nodemesh-system/web"
            api.apply(secret("web", tls_key="one"))
            await follower.until(lambda: not made.why_absent("nodemesh-system/web"))
            api.delete("Secret", "web", "nodemesh-system")
            await follower.until(lambda: made.why_absent("nodemesh-system/web"))
            assert made.secrets == {}

    play(story, api)


def test_a_secret_of_another_namespace_is_not_to_be_read(play):
    api = guarded()
    api.apply(secret("web", "shop", tls_key="foreign"))

    async def story(follower):
        async with source(follower, "shop/web") as made:
            await follower.until(lambda: not made.waiting_for())
            why = made.why_absent("shop/web")
            assert 'cannot watch resource "secrets" in API group "" in the namespace "shop"' in why, why
            assert made.secrets == {}
            role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "web", "namespace": "shop"}}
            rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["web"], "verbs": ["list", "watch"]}
            subject = {"kind": "ServiceAccount", "namespace": "nodemesh-system", "name": "nodemesh-gateway"}
            ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"}
            api.apply({**role, "kind": "Role", "rules": [rule]})
            api.apply({**role, "kind": "RoleBinding", "subjects": [subject], "roleRef": ref})
            await follower.until(lambda: data(made) == {"shop/web": {"tls.key": b"foreign"}})

    play(story, api)


def test_what_cannot_be_read_leaves_what_was_there_and_is_not_shown(play):
    api = guarded()
    api.apply(secret("web", tls_key="one"))

    async def story(follower):
        async with source(follower, "nodemesh-system/web") as made:
            await follower.until(lambda: made.secrets)
            api.apply({**secret("web"), "data": {"tls.key": "-----BEGIN PRIVATE KEY"}})
            await follower.until(lambda: made.why_absent("nodemesh-system/web"))
            why = made.why_absent("nodemesh-system/web")
            assert "base64" in why and "PRIVATE" not in why
            assert data(made) == {"nodemesh-system/web": {"tls.key": b"one"}}

    play(story, api)


def test_an_outage_keeps_them_and_what_happened_meanwhile_follows(play):
    api = guarded()
    api.apply(secret("web", tls_key="one"))

    async def story(follower):
        async with source(follower, "nodemesh-system/web") as made:
            await follower.until(lambda: made.secrets)
            await follower.running.close()
            api.apply(secret("web", tls_key="two"))
            api.etcd.compact()
            assert data(made) == {"nodemesh-system/web": {"tls.key": b"one"}}
            await follower.running.open()
            await follower.until(lambda: data(made) == {"nodemesh-system/web": {"tls.key": b"two"}})

    play(story, api)
