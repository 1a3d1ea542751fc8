"""Agents by a relay: the same tables from one set of watches, and from the API server where no relay answers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import msgspec
import pytest
from tests.apiserver.running import Running, kubeconfig
from tests.apiserver.server import ApiServer
from tests.churn import Churn, is_true
from tests.clusters import NODE, Follower, endpoint_slice, pod, service, virtual_service

from nodemesh.lab.certificates import Authority
from nodemesh.registry.sources.api import ApiError
from nodemesh.registry.sources.kubernetes import ApiServer as Client
from nodemesh.registry.sources.kubernetes import from_kubeconfig, login_at
from nodemesh.relay import server as server_module
from nodemesh.relay.relay import ApiRelay, RelayOptions

AGENT = "system:serviceaccount:nodemesh-system:nodemesh-agent"
FOLLOWERS = 5


class Story:
    """An API server, a relay at it, and followers by the relay."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.api = ApiServer()
        self.config = folder / "kubeconfig"
        self.options = RelayOptions(host="127.0.0.1", port=0, **options)  # type: ignore[arg-type]
        self._tasks: list[asyncio.Task[None]] = []
        self._followers: list[Follower] = []

    async def __aenter__(self) -> Story:
        self.running = Running(self.api, asyncio.get_running_loop())
        await self.running.open()
        kubeconfig(self.config, self.running.url)
        self.client = Client(lambda: from_kubeconfig(str(self.config)))
        self.relay = ApiRelay(self.client, self.options)
        self.serving = asyncio.create_task(self.relay.run())
        await self.until(lambda: self.relay.port and not self.relay.server.waiting_for())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.serving.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self.serving, *self._tasks, return_exceptions=True)
        for follower in self._followers:
            await follower.close()
        await self.client.close()
        await self.running.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.relay.port}"

    async def follow(self) -> Follower:
        follower = Follower(self.running, self.config, relay=self.url)
        self._followers.append(follower)
        self._tasks.append(asyncio.create_task(follower.follow()))
        return follower

    async def until(self, condition, patience: float = 30.0) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        while not condition():
            assert clock() < end, "waited in vain"
            await asyncio.sleep(0.01)


def fill(api: ApiServer) -> None:
    bulky = {"managedFields": [{"manager": "kubelet", "fieldsV1": {"f:metadata": {}}}] * 20}
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}, virtual_service("app-0")]
    for number in range(40):
        made = pod(f"app-{number}-0", node=f"node-{'ab'[number % 2]}", ip=f"10.2.0.{number + 1}")
        made["metadata"] |= bulky
        made["spec"]["containers"][0] |= {"env": [{"name": "LONG", "value": "x" * 4000}]}
        objects += [made, service(f"app-{number}"), endpoint_slice(f"app-{number}", (f"app-{number}-0", "10.2.0.1"))]
    api.apply(*objects)


def starts_of(follower: Follower) -> int:
    """How often its pods were read from the beginning."""
    return sum(row.starts for row in follower.source.status() if row.name == "pods")


def play(story) -> None:
    asyncio.run(story)


def test_followers_have_the_truth_from_one_set_of_watches(tmp_path):
    async def story():
        story = Story(tmp_path)
        fill(story.api)
        async with story:
            own, bytes_of_relay = story.api.watching, story.api.sent
            followers = [await story.follow() for _ in range(FOLLOWERS)]
            for follower in followers:
                await story.until(lambda follower=follower: follower.batches and is_true(follower))
            assert story.api.watching == own, "the relay's alone"
            assert story.api.sent == bytes_of_relay
            assert story.relay.server.watching >= FOLLOWERS * 10
            assert story.relay.server.sent / FOLLOWERS < bytes_of_relay / 10, (
                "each has less than a tenth of what there is"
            )
            churn = Churn(followers[0], rate=100)
            for _ in range(3):
                await churn.run(0.7)
                for follower in followers:
                    await story.until(lambda follower=follower: is_true(follower))
            assert story.api.watching == own

    play(story())


def test_without_a_relay_they_go_on_at_the_api_server_where_they_were(tmp_path):
    async def story():
        story = Story(tmp_path)
        fill(story.api)
        async with story:
            followers = [await story.follow() for _ in range(2)]
            for follower in followers:
                await story.until(lambda follower=follower: follower.batches and is_true(follower))
            story.api.asked.clear()
            story.serving.cancel()
            await asyncio.gather(story.serving, return_exceptions=True)
            churn = Churn(followers[0], rate=50)
            await churn.run(1.0)
            for follower in followers:
                await story.until(lambda follower=follower: is_true(follower))
                assert not follower.relayed.by_relay and "does not answer" in follower.relayed.why
            anew = [row for row in story.api.asked if "sendInitialEvents" in row.query and row.path != "/apis"]
            known = [row for row in anew if row.path in ("/api/v1/pods", "/api/v1/services")]
            assert known == [], "their versions were the API server's own"

    play(story())


def test_a_relay_that_had_to_read_anew_says_so_and_its_followers_do(tmp_path):
    async def story():
        story = Story(tmp_path)
        fill(story.api)
        async with story:
            follower = await story.follow()
            await story.until(lambda: follower.batches and is_true(follower))
            pods = next(item for item in story.relay.collections if item.resource.name == "pods")
            starts, own = pods.reflector.starts, starts_of(follower)
            story.api.cut()
            for number in range(40):
                story.api.delete("Pod", f"app-{number}-0")
            story.api.etcd.compact()
            await story.until(lambda: pods.reflector.starts > starts)
            await story.until(lambda: is_true(follower))
            assert not follower.snapshot.workloads
            assert starts_of(follower) > own, "what it knew is 410 Gone at the relay, too"
            assert follower.relayed.by_relay

    play(story())


async def asked(url: str, path: str, token: str = "", **query: str) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as session, session.get(url + path, params=query, headers=headers) as answer:
        return answer.status, await answer.read()


def test_who_is_served(tmp_path):
    async def story():
        async with Story(tmp_path, accounts=(AGENT,)) as story:
            story.api.apply(pod("one", node=NODE), pod("other", node="node-b"))
            await story.until(
                lambda: len(story.relay.collections) and any(len(item.whole) == 2 for item in story.relay.collections)
            )
            story.api.accounts = {
                "agent": f"nodemesh-system/nodemesh-agent@{NODE}", "somebody": "default/default",
                "relay": "nodemesh-system/relay",
            }  # fmt: skip
            path = "/api/v1/pods"
            assert (await asked(story.url, "/api/v1/services"))[0] == 401
            assert (await asked(story.url, "/api/v1/services", "wrong"))[0] == 401
            assert (await asked(story.url, "/api/v1/services", "somebody"))[0] == 403
            status, body = await asked(story.url, "/api/v1/services", "agent")
            assert (status, msgspec.json.decode(body)["kind"]) == (200, "ServiceList")
            for secret in ("/api/v1/secrets", "/api/v1/namespaces/default/secrets", "/api/v1/configmaps"):
                assert (await asked(story.url, secret, "agent"))[0] == 403
            assert (await asked(story.url, path, "agent", fieldSelector="spec.nodeName=node-b"))[0] == 403
            assert (await asked(story.url, path, "agent", fieldSelector="metadata.name=one"))[0] == 400
            status, body = await asked(story.url, path, "agent", fieldSelector=f"spec.nodeName={NODE}")
            assert [item["metadata"]["name"] for item in msgspec.json.decode(body)["items"]] == ["one"]
            assert (await asked(story.url, path, "agent"))[0] == 403, "of other nodes' pods the metadata alone"

    play(story())


def test_a_version_from_before_is_gone_and_nonsense_is_refused(tmp_path):
    async def story():
        async with Story(tmp_path) as story:
            status, body = await asked(story.url, "/api/v1/services", watch="true", resourceVersion="3")
            event = msgspec.json.decode(body)
            assert (status, event["type"], event["object"]["code"]) == (200, "ERROR", 410)
            assert (await asked(story.url, "/api/v1/services", watch="true", resourceVersion="x"))[0] == 400
            status, body = await asked(
                story.url, "/api/v1/services", watch="true", sendInitialEvents="true", timeoutSeconds="1"
            )
            assert status == 200 and msgspec.json.decode(body)["type"] == "BOOKMARK"

    play(story())


def test_agents_check_the_relays_certificate(tmp_path):
    async def story():
        lab = Authority()
        pair = lab.issue("127.0.0.1")
        files = {"certificate": pair.certificate, "key": pair.key, "authority": lab.certificate}
        for name, text in files.items():
            (tmp_path / name).write_bytes(text)
        options = {name: str(tmp_path / name) for name in ("certificate", "key")}
        async with Story(tmp_path, **options) as story:
            url = f"https://127.0.0.1:{story.relay.port}"
            for authority, works in ((str(tmp_path / "authority"), True), ("", False)):
                client = Client(login_at(lambda: from_kubeconfig(str(story.config)), url, authority))
                try:
                    if works:
                        assert await client.get("/api/v1/services", {}, "application/json")
                    else:
                        with pytest.raises(ApiError, match="certificate"):
                            await client.get("/api/v1/services", {}, "application/json")
                finally:
                    await client.close()

    play(story())


def test_who_reads_slowly_has_a_large_cluster_in_the_end(tmp_path, monkeypatch):
    """Namespaces may hold more than may wait for one client; none is cut off that reads on."""
    monkeypatch.setattr(server_module, "LAG", 256 * 1024)

    async def story():
        story = Story(tmp_path)
        large = [virtual_service(f"large-{number}") for number in range(40)]
        for item in large:
            item["metadata"]["annotations"] = {"large": "x" * 400_000}
        story.api.apply(*large)
        async with story:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", story.relay.port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
            path = "/apis/networking.istio.io/v1/virtualservices?watch=1&sendInitialEvents=true"
            writer.write(f"GET {path} HTTP/1.1\r\nhost: relay\r\n\r\n".encode())
            await story.until(lambda: story.relay.server.sent)
            size = 0
            while b"initial-events-end" not in (data := await reader.read(2**20)):
                assert data, "the relay has cut it off"
                size += len(data)
            writer.close()
            assert size > 40 * 400_000

    play(story())
