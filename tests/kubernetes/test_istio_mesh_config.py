"""Istio's MeshConfig is followed where Istio keeps it: a ConfigMap of its own namespace."""

from __future__ import annotations

from tests.clusters import small_cluster

from nodemesh.registry.sources.reflector import Phase


def istio_mesh(text: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": text},
    }


def test_istios_mesh_config_is_followed_where_it_stands(play):
    api = small_cluster()
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "shop"}}
    api.apply(istio_mesh("connectTimeout: 3s\ntrustDomain: a"), {**other, "data": {"mesh": "connectTimeout: 9s"}})

    async def story(follower):
        await follower.until(lambda: follower.batches)
        assert follower.snapshot.mesh.connect_timeout == 3000, "with the first batch, not after it"
        assert [problem.path for problem in follower.snapshot.problems] == ["data.mesh.trustDomain"]
        api.apply(istio_mesh("connectTimeout: 4s"))
        await follower.until(lambda: follower.snapshot.mesh.connect_timeout == 4000 and not follower.snapshot.problems)
        api.delete("ConfigMap", "istio", "istio-system")
        await follower.until(lambda: follower.snapshot.mesh.connect_timeout == 10_000)

    play(story, api)


def test_without_the_right_to_read_istios_mesh_config_nobody_waits_and_what_was_read_stays(play, monkeypatch):
    monkeypatch.setattr("nodemesh.registry.sources.reflector.ABSENT_INTERVAL", 0.2)
    api = small_cluster()
    api.apply(istio_mesh("connectTimeout: 3s"))
    api.faults.refuse("configmaps", 403, times=10**6, message="forbidden")

    async def story(follower):
        await follower.until(lambda: follower.batches, patience=5.0)
        assert not follower.source.waiting_for() and follower.snapshot.mesh.connect_timeout == 10_000
        (row,) = [row for row in follower.source.status() if row.name == "istio-mesh"]
        assert "forbidden" in row.error, "said in status"
        api.faults.refusals.clear()
        await follower.until(lambda: follower.snapshot.mesh.connect_timeout == 3000)
        api.faults.refuse("configmaps", 403, times=10**6)
        api.cut()
        await follower.until(lambda: any(row.phase is Phase.PAUSED for row in follower.source.status()))
        assert follower.snapshot.mesh.connect_timeout == 3000

    play(story, api)
