"""A node that boots serves what it knew, and goes on by the difference."""

from __future__ import annotations

import pytest
from tests.clusters import addresses, endpoint_slice, small_cluster

from nodemesh.registry.assemble import ObjectKey


def test_a_node_that_boots_without_api_server_serves_what_it_knew(play, monkeypatch):
    monkeypatch.setattr("nodemesh.registry.sources.cluster.SAVE_INTERVAL", 0.1)
    monkeypatch.setattr("nodemesh.registry.sources.cluster.PATIENCE", 0.5)
    api = small_cluster()

    async def first(follower):
        await follower.until(lambda: follower.batches)
        await follower.until(lambda: follower.source._cache._path.exists())

    async def second(follower):
        await follower.until(lambda: follower.batches)
        assert follower.source.from_disk and len(follower.source.waiting_for()) == len(follower.source.reflectors)
        assert addresses(follower) == ["10.1.0.1"] and "default/reviews" in follower.snapshot.virtual_services
        assert follower.snapshot.workloads["default/client"].addresses == ("10.2.0.1",)
        api.delete("VirtualService", "reviews")
        await follower.running.open()
        await follower.until(lambda: not follower.snapshot.virtual_services)
        await follower.until(lambda: not follower.source.from_disk and follower.agrees())

    play(first, api, cache=True)
    play(second, api, up=False, cache=True)


BIG = ("pods", "services", "endpointslices", "nodes")


def lists_of(api, since):
    """The kinds that were read as a whole: by a list, or by a watch with initial events."""
    asked = list(api.asked)[since:]
    whole = [one for one in asked if one.method == "GET" or one.query.get("sendInitialEvents")]
    return {kind for kind in BIG if any(one.path.endswith(f"/{kind}") for one in whole)}


@pytest.mark.parametrize("meanwhile", ["changes", "forgets", "is another", "is set back"])
def test_a_node_that_boots_goes_on_with_what_it_knew_by_the_difference(play, monkeypatch, meanwhile):
    """Unless the server does not remember it, is that of another cluster, or has an older state."""
    monkeypatch.setattr("nodemesh.registry.sources.cluster.SAVE_INTERVAL", 0.1)
    api = small_cluster()
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "one"}})

    async def first(follower):
        await follower.until(lambda: follower.batches)
        await follower.until(lambda: follower.source._cache.read().versions.keys() >= set(BIG))
        assert not follower.source.from_disk

    async def second(follower):
        began = len(follower.server.asked)
        await follower.until(lambda: follower.batches and not follower.source.waiting_for())
        await follower.until(follower.agrees)
        assert follower.source.path_of(ObjectKey("Service", "default", "reviews"))
        assert addresses(follower) == (["10.1.0.1"] if meanwhile == "is set back" else ["10.1.0.9"])
        assert lists_of(follower.server, began) == (set() if meanwhile == "changes" else set(BIG))
        follower.server.apply(endpoint_slice("reviews", ("reviews-1", "10.1.0.7")))
        await follower.until(lambda: addresses(follower) == ["10.1.0.7"])

    if meanwhile == "is set back":
        for _ in range(10):
            api.apply(endpoint_slice("reviews", ("reviews-1", "10.1.0.9")))
    play(first, api, cache=True)
    if meanwhile == "is set back":
        later, api = api, small_cluster()
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "one"}})
        assert api.etcd.revision < later.etcd.revision
    else:
        api.apply(endpoint_slice("reviews", ("reviews-1", "10.1.0.9")))
        api.delete("Pod", "reviews-1")
        if meanwhile == "is another":
            api.delete("Namespace", "kube-system", "")
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "two"}})
        if meanwhile == "forgets":
            api.etcd.compact()
    play(second, api, cache=True)
