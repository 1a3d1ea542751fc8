"""A cluster is read and followed, whatever its API server does."""

from __future__ import annotations

import asyncio

import pytest
from tests.apiserver.kinds import Kind
from tests.apiserver.server import ApiServer
from tests.clusters import (
    NODE,
    REVIEWS,
    Follower,
    addresses,
    endpoint_slice,
    pod,
    service,
    small_cluster,
    virtual_service,
)

from nodemesh.registry.sources.backoff import Backoff
from nodemesh.registry.sources.reflector import Phase


@pytest.mark.parametrize("watch_lists", [True, False])
def test_the_first_snapshot_is_the_whole_cluster(play, watch_lists):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        snapshot = follower.snapshot
        assert follower.agrees() and not follower.source.waiting_for()
        (endpoint,) = snapshot.services[REVIEWS][0].endpoints[80]
        assert endpoint.labels == {"app": "reviews-1", "version": "v1"}  # from the remote pod's metadata
        assert snapshot.workloads["default/client"].addresses == ("10.2.0.1",)
        assert snapshot.workloads["default/reviews-1"].addresses == ("10.1.0.1",)  # by the slice's targetRef
        assert "default/reviews" in snapshot.virtual_services
        lists = [row for row in follower.server.requests if row[0] == "GET"]
        assert bool(lists) is not watch_lists

    play(story, small_cluster(watch_lists=watch_lists))


@pytest.mark.parametrize("watch_lists", [True, False])
def test_changes_and_removals_follow(play, watch_lists):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        api = follower.server
        api.apply(endpoint_slice("reviews", ("reviews-1", "10.1.0.1"), ("reviews-2", "10.1.0.2")))
        await follower.until(lambda: addresses(follower) == ["10.1.0.1", "10.1.0.2"])
        api.delete("VirtualService", "reviews")
        await follower.until(lambda: not follower.snapshot.virtual_services)
        api.delete("EndpointSlice", "reviews-x1")
        await follower.until(lambda: addresses(follower) == [])
        assert follower.agrees()

    play(story, small_cluster(watch_lists=watch_lists))


def test_lists_come_in_chunks_and_start_again_when_a_chunk_has_expired(play):
    api = small_cluster(watch_lists=False, lose_continue=1)
    api.apply(*(pod(f"pod-{number}") for number in range(1200)))

    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert follower.agrees() and len(follower.names("Pod")) == 1202
        assert api.requests["GET", "/api/v1/pods"] > 3

    play(story, api)


def test_a_list_that_breaks_off_is_asked_for_again(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert follower.agrees()
        assert any(status.failures for status in follower.source.status())

    play(story, small_cluster(watch_lists=False, cut_lists=3))


def test_cut_watches_go_on_where_they_were(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        starts = sum(status.starts for status in follower.source.status())
        for number in range(3):
            assert follower.server.cut()
            follower.server.apply(service(f"more-{number}"))
            await follower.until(lambda: follower.agrees())
        assert sum(status.starts for status in follower.source.status()) == starts

    play(story, small_cluster())


def test_watches_that_the_server_ends_are_opened_again(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        await follower.until(lambda: follower.server.requests.get(("watch", "/api/v1/services"), 0) > 2)
        follower.server.apply(service("late"))
        await follower.until(lambda: "late" in follower.names("Service"))
        assert not any(status.failures for status in follower.source.status())

    play(story, small_cluster(watch_seconds=1.2))


@pytest.mark.parametrize("watch_lists", [True, False])
def test_after_410_gone_what_vanished_meanwhile_is_removed(play, watch_lists):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        await follower.running.close()
        api = follower.server
        api.delete("VirtualService", "reviews")
        api.apply(service("new"))
        api.etcd.compact()
        api.etcd.revision += 1
        api.etcd.compact()
        await follower.running.open()
        await follower.until(lambda: follower.agrees())
        await follower.until(lambda: not follower.snapshot.virtual_services)
        assert "new" in follower.names("Service")

    play(story, small_cluster(watch_lists=watch_lists))


def test_an_event_that_is_not_json_costs_a_new_list_and_nothing_else(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        follower.server.faults.garbage = 1
        follower.server.apply(service("one"))
        follower.server.apply(service("two"))
        await follower.until(lambda: follower.agrees() and "two" in follower.names("Service"))
        assert [status.failures for status in follower.source.status() if status.name == "services"] == [1]

    play(story, small_cluster())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_refused_requests_are_repeated(play, status):
    api = small_cluster()
    api.faults.refuse("/services", status, times=2, retry_after=1 if status == 429 else 0)

    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert follower.agrees()

    play(story, api)


def test_a_forbidden_kind_is_named(play):
    api = small_cluster()
    api.faults.refuse("/endpointslices", 403, times=1000, message="endpointslices is forbidden: User cannot list")

    async def story(follower):
        def waiting():
            return [line.partition(":") for line in follower.source.waiting_for()]

        await follower.until(lambda: [name for name, _, _ in waiting()] == ["endpointslices"])
        await follower.until(lambda: "forbidden" in waiting()[0][2])
        assert not follower.batches

    play(story, api)


def test_absent_kinds_are_none_and_older_versions_are_taken(play):
    api = ApiServer(with_mesh=False)
    api.kinds.add(Kind("networking.istio.io", "v1beta1", "VirtualService", "virtualservices"))
    api.apply(service("reviews"), virtual_service("reviews"))

    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert list(follower.snapshot.virtual_services) == ["default/reviews"]
        phases = {status.name: status.phase.value for status in follower.source.status()}
        assert phases["gateways"] == phases["meshconfigs"] == "absent"
        assert phases["virtualservices"] == "watching"

    play(story, api)


def test_a_crd_that_comes_late_counts_at_once(play):
    """Within 2 s, though an absent kind is looked for twice a minute; it is served some moments after it is there."""
    kinds = [
        Kind("nodemesh.io", "v1alpha1", "MeshConfig", "meshconfigs", False),
        Kind("networking.istio.io", "v1", "VirtualService", "virtualservices"),
    ]
    api = ApiServer(with_mesh=False)
    api.apply(service("reviews"))

    async def story(follower):
        await follower.until(lambda: follower.batches)
        for kind in kinds:
            name = f"{kind.plural}.{kind.group}"
            definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                          "metadata": {"name": name}, "spec": {"versions": []}}  # fmt: skip
            api.apply(definition)
            await asyncio.sleep(0.3)
            api.kinds.add(kind)
        api.apply(virtual_service("reviews"))
        await follower.until(lambda: follower.snapshot.virtual_services, patience=2.0)
        phases = {status.name: status.phase.value for status in follower.source.status()}
        assert phases["meshconfigs"] == phases["virtualservices"] == "watching"

    play(story, api)


def test_without_the_right_to_see_crds_all_else_is_followed(play):
    api = small_cluster()
    api.faults.refuse("customresourcedefinitions", 403, times=10**6)

    async def story(follower):
        await follower.until(lambda: follower.batches and follower.agrees())
        assert not follower.source.waiting_for()

    play(story, api)


def test_after_an_outage_one_answer_wakes_all_watches(play, monkeypatch):
    """Whichever comes first: the others' pauses have grown to a length at which the test would not end."""
    monkeypatch.setattr(Backoff, "LIMIT", 600.0)
    monkeypatch.setattr(Backoff, "FIRST", 300.0)

    async def story(follower):
        await follower.until(lambda: follower.batches)
        await follower.running.close()
        await follower.until(lambda: all(row.phase is Phase.PAUSED for row in follower.source.status()))
        assert follower.source.outage.since and follower.source.outage.why
        await follower.running.open()
        follower.source.outage.answered()  # as by any one of them
        await follower.until(lambda: all(row.phase is Phase.WATCHING for row in follower.source.status()))
        assert not follower.source.outage.since

    play(story, small_cluster())


def test_a_refused_object_leaves_the_one_before_in_force(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        good = follower.snapshot.virtual_services["default/reviews"]
        follower.server.apply(virtual_service("reviews", htttp=[]))
        await follower.until(lambda: follower.snapshot.problems)
        assert follower.snapshot.virtual_services["default/reviews"] == good
        (refusal,) = follower.source.refusals()
        assert (refusal.key.kind, refusal.key.name) == ("VirtualService", "reviews") and refusal.head.uid
        follower.server.apply(virtual_service("reviews", hosts=["reviews", "other"]))
        await follower.until(lambda: not follower.snapshot.problems)
        assert follower.snapshot.virtual_services["default/reviews"].spec.hosts == ("reviews", "other")

    play(story, small_cluster())


def test_pods_of_this_node_are_known_in_full_as_long_as_they_are_here(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        client = follower.snapshot.workloads["default/client"]
        assert client.node == NODE
        follower.server.delete("Pod", "client")
        await follower.until(lambda: "default/client" not in follower.snapshot.workloads)
        follower.server.apply(pod("client", node="node-c"))
        await follower.until(lambda: "default/client" in follower.snapshot.workloads)
        assert follower.snapshot.workloads["default/client"].addresses == ()

    play(story, small_cluster())


def test_endpoints_are_what_the_slices_say_and_not_the_pods_of_this_node(play):
    api = small_cluster()
    api.apply(service("client"))

    async def story(follower):
        await follower.until(lambda: follower.batches)
        (client,) = follower.snapshot.services["client.default.svc.cluster.local"]
        assert client.endpoints == {80: ()}

    play(story, api)


def test_updates_that_say_nothing_new_make_no_snapshot(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        version = follower.snapshot.version
        busy = endpoint_slice("reviews", ("reviews-1", "10.1.0.1"))
        for number in range(5):
            busy["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": str(number)}
            follower.server.apply(busy)
        events = {status.name: status.events for status in follower.source.status()}["endpointslices"]
        await follower.until(
            lambda: {status.name: status.events for status in follower.source.status()}["endpointslices"] >= events + 5
        )
        await asyncio.sleep(0.3)  # longer than any debounce
        assert follower.snapshot.version == version

    play(story, small_cluster())


def deleting(data):
    stamped = {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
    return {**data, "metadata": {**data["metadata"], **stamped}}


def test_a_pod_of_another_node_that_begins_to_leave_is_out_before_its_slice_says_so(play):
    async def story(follower):
        await follower.until(lambda: follower.batches)
        api, batches = follower.server, follower.batches
        api.apply(deleting(pod("reviews-1", version="v1")))
        await follower.until(lambda: health(follower) == ["draining"])
        assert follower.batches == batches + 1
        api.delete("Pod", "reviews-1")
        await follower.until(lambda: "default/reviews-1" not in follower.snapshot.workloads)
        api.apply(endpoint_slice("reviews"))
        await follower.until(lambda: health(follower) == [])

    play(story, small_cluster())


def health(follower: Follower) -> list[str]:
    return [endpoint.health.value for endpoint in follower.snapshot.services[REVIEWS][0].endpoints[80]]
