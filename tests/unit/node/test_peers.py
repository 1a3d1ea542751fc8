"""What agents ask each other is bounded, and asked once for many who want to know it at a time."""

import asyncio

from nodemesh.node import peers
from nodemesh.node.peers import QUESTIONS, SERVICE, Peers
from nodemesh.registry.snapshot import Endpoint, RegistryPort, Service, Snapshot

NAMESPACE = "nodemesh-system"
HOST = f"{SERVICE}.{NAMESPACE}.svc.cluster.local"


def service(namespace: str, kind: str, *ends: Endpoint) -> Service:
    ports = (RegistryPort(number=15002),)
    return Service(host=HOST, name=SERVICE, namespace=namespace, kind=kind, ports=ports, endpoints={15002: ends})


def end(node: str, address: str, cluster: str = "east") -> Endpoint:
    return Endpoint(address=address, port=15002, node=node, cluster=cluster)


def of(*services: Service) -> Peers:
    snapshot = Snapshot(cluster="east", services={HOST: services})
    return Peers(lambda: snapshot, "here", NAMESPACE, "/nowhere/token")


def test_agents_are_those_of_their_own_service_in_their_own_cluster():
    own = service(
        NAMESPACE, "Service", end("here", "10.0.0.1"), end("there", "10.0.0.2"), end("far", "10.1.0.9", "west")
    )
    tenants = service("shop", "ServiceEntry", end("there", "10.0.0.66"))
    found = of(tenants, own, service(NAMESPACE, "ServiceEntry", end("x", "10.0.0.67")))
    assert [(each.node, each.address) for each in found] == [("here", "10.0.0.1"), ("there", "10.0.0.2")]
    assert found.knows("10.0.0.2") and not any(map(found.knows, ("10.0.0.66", "10.0.0.67", "10.1.0.9")))


def test_without_a_token_nobody_is_asked_and_all_are_named():
    found = asyncio.run(of(service(NAMESPACE, "Service", end("here", "a"), end("there", "b"))).ask("/flows"))
    assert found.answers == () and [each.node for each in found.silent] == ["there"]
    assert "/nowhere/token: No such file or directory" in found.silent[0].why


def test_one_question_of_many_pages_is_asked_once_and_many_questions_are_bounded(monkeypatch):
    asked = []

    async def one(self, peer, path, query):
        asked.append((path, tuple(query)))
        await asyncio.sleep(0)
        return peer.node, b"{}"

    monkeypatch.setattr(Peers, "_one", one)
    monkeypatch.setattr(peers, "FRESH", 60.0)
    found = of(service(NAMESPACE, "Service", end("there", "b")))

    async def story() -> None:
        same = await asyncio.gather(*(found.ask("/flows", [("window", "60")]) for _ in range(10)))
        assert {heard.answers for heard in same} == {(("there", b"{}"),)} and len(asked) == 1
        for number in range(2 * QUESTIONS):
            last = await found.ask("/decisions", [("path", f"/{number}")])
        assert len(asked) == QUESTIONS and not last.answers
        assert "other questions are under way" in last.silent[0].why
        assert (await found.ask("/flows", [("window", "60")])).answers, "what is known is still told"

    asyncio.run(story())


def test_more_agents_than_are_asked_are_named(monkeypatch):
    async def one(self, peer, path, query):
        return peer.node, b"{}"

    monkeypatch.setattr(Peers, "_one", one)
    monkeypatch.setattr(peers, "MOST", 3)
    ends = [end(f"node-{number}", f"10.0.0.{number}") for number in range(5)]
    heard = asyncio.run(of(service(NAMESPACE, "Service", *ends)).ask("/flows"))
    assert len(heard.answers) == 3 and [each.node for each in heard.silent] == ["node-3", "node-4"]
