"""Small clusters for tests: objects as an API server holds them, and a source that follows one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodemesh.registry.snapshot import Snapshot
from nodemesh.registry.sources.api import Api
from nodemesh.registry.sources.cache import Cache
from nodemesh.registry.sources.cluster import ClusterSource
from nodemesh.registry.sources.kubernetes import ApiServer, from_kubeconfig, login_at
from nodemesh.registry.sources.relayed import RelayedApi, served_for
from nodemesh.registry.sources.resources import resources
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.tables import Tables

from .apiserver.running import Running
from .apiserver.server import ApiServer as TestServer

NODE = "node-a"
REVIEWS = "reviews.default.svc.cluster.local"

#: Seconds after which a condition that is waited for will not come any more.
PATIENCE = 15.0


def pod(name: str, node: str = "node-b", ip: str = "10.1.0.1", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name, **labels}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def service(name: str, port: int = 80) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.10", "selector": {"app": name}, "ports": [{"name": "http", "port": port}]},
    }


def endpoint_slice(name: str, *pods: tuple[str, str]) -> dict[str, Any]:
    """Each pod is its name and its address."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-x1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": pod}}
            for pod, ip in pods
        ],
    }


def virtual_service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hosts": [name], "http": [{"route": [{"destination": {"host": name}}]}], **spec},
    }


class Follower:
    """What control does with a source: every batch goes into a store, and becomes tables."""

    def __init__(self, running: Running, config: Path, cache: Path | None = None, relay: str = "") -> None:
        """By the relay at this URL, where one is given."""
        self.server = running.server
        self.running = running
        self.api = ApiServer(lambda: from_kubeconfig(str(config)))
        self.relay: ApiServer | None = None
        api: Api = self.api
        if relay:
            self.relay = ApiServer(login_at(lambda: from_kubeconfig(str(config)), relay, ""))
            clock = asyncio.get_running_loop().time
            self.relayed = api = RelayedApi(api, self.relay, served_for(resources(NODE)), random.random, clock)
        kept = Cache(cache, NODE) if cache is not None else None
        self.source = ClusterSource(api, NODE, kept, random.random)
        self.store = Store()
        self.tables: Tables | None = None
        self.batches = 0

    @property
    def snapshot(self) -> Snapshot:
        return self.store.snapshot

    async def close(self) -> None:
        await self.api.close()
        if self.relay is not None:
            await self.relay.close()

    async def follow(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.source.run())
            while True:
                changes = await self.source.next()
                snapshot = self.store.apply("cluster", changes.changed, changes.removed, changes.problems)
                self.tables = compile_tables(snapshot, self.tables)
                self.batches += 1

    async def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for a condition, with a bound."""
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        while not condition():
            assert clock() < end, (self.source.waiting_for(), self.source.status())
            await asyncio.sleep(0.01)

    def names(self, kind: str, group: str = "") -> set[str]:
        """What the source holds of a kind."""
        names = self.source._names[group, kind]
        return {item.meta.name for name in names for item in self.source._held[name].values()}

    def agrees(self) -> bool:
        """Whether the source holds exactly what the server does."""
        return all(
            self.names(kind, group) == {data["metadata"]["name"] for data in self.server.objects(kind, group)}
            for group, kind in self.source._names
        )


def small_cluster(**faults: Any) -> TestServer:
    """A service with a pod on another node, a client on this one, a rule; the faults are the server's."""
    api = TestServer()
    for name, value in faults.items():
        setattr(api.faults, name, value)
    api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}},
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "node-b", "labels": {"topology.kubernetes.io/zone": "z1"}},
        },
        service("reviews"),
        endpoint_slice("reviews", ("reviews-1", "10.1.0.1")),
        pod("reviews-1", version="v1"),
        pod("client", node=NODE, ip="10.2.0.1"),
        virtual_service("reviews"),
    )
    return api


def addresses(follower: Follower) -> list[str]:
    """Where the service's requests may go."""
    services = follower.snapshot.services.get(REVIEWS)
    return [endpoint.address for endpoint in services[0].endpoints[80]] if services else []
