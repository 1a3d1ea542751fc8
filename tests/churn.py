"""A cluster in which everything changes, its misfortunes, and what its tables must be afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from nodemesh.config.load import load_object
from nodemesh.registry.snapshot import Snapshot
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.tables import Tables

from .apiserver.running import kubeconfig
from .apiserver.server import ApiServer
from .clusters import Follower, endpoint_slice, pod, service, virtual_service
from .jumping import pass_time

SERVICES = 40
HOUR = 3600.0

#: Seconds that the follower has, after the changes stop, to be where the server is; the longest pause between two
#: tries to reach a server, and what follows it.
PATIENCE = 40.0

#: The kinds that the changes are about.
KINDS = ("Namespace", "Node", "Service", "EndpointSlice", "VirtualService", "Pod")


def change(api: ApiServer, dice: random.Random, number: int) -> None:
    """Create, change or delete something."""
    name = f"app-{dice.randrange(SERVICES)}"
    match dice.randrange(8):
        case 0:
            api.apply(service(name, 80 + number % 5))
        case 1:
            api.delete("Service", name)
        case 2:
            api.apply(virtual_service(name, hosts=[name, f"host-{number % 7}"]))
        case 3:
            api.delete("VirtualService", name)
        case 4:
            api.delete("Pod", f"{name}-{dice.randrange(3)}")
        case 5:
            api.apply(pod(f"{name}-{dice.randrange(3)}", node=f"node-{dice.choice('ab')}", version=f"v{number % 3}"))
        case _:
            ready = [(f"{name}-{place}", f"10.1.{number % 250}.{place + 1}") for place in range(dice.randrange(4))]
            api.apply(endpoint_slice(name, *ready))


def truth(api: ApiServer) -> Snapshot:
    """What a store makes of the server's objects, taken in all at once; of remote pods only the metadata, of
    services no selector."""
    objects = []
    for kind in KINDS:
        for data in api.objects(kind):
            if kind == "Pod" and data["spec"]["nodeName"] != "node-a":
                data = {**data, "spec": {}, "status": {}}
            if kind == "Service":
                data = {**data, "spec": {**data["spec"], "selector": {}}}
            plain = {key: value for key, value in data["metadata"].items() if key != "resourceVersion"}
            objects += load_object({**data, "metadata": plain}, "truth").objects
    return Store().apply("truth", objects)


def comparable(snapshot: Snapshot) -> dict[str, object]:
    """Without what names the source, and the versions: a rule's generation is kept for routes alone, whose status has
    it."""
    return {
        "workloads": dict(snapshot.workloads),
        "services": {
            host: [(item.addresses, item.ports, item.endpoints, item.created) for item in items]
            for host, items in snapshot.services.items()
        },
        "rules": {
            key: (replace(item.meta, generation=0), item.spec) for key, item in snapshot.virtual_services.items()
        },
    }


def is_true(follower: Follower) -> bool:
    return comparable(follower.snapshot) == comparable(truth(follower.server))


def same(tables: Tables, others: Tables) -> bool:
    """Whether tables mean the same; which snapshot they are from is left aside, and how routes were attached: what came
    of that is in them."""
    return all(
        getattr(tables, name) == getattr(others, name)
        for name in tables.__struct_fields__
        if name not in ("version", "causes", "snapshot", "attached")
    )


class Churn:
    """Changes a follower's server `rate` times a second, as far as the machine goes along."""

    def __init__(self, follower: Follower, rate: int, seed: int = 5) -> None:
        self.made = 0
        self.seconds = 0.0
        self.lags: dict[str, float] = {}  # seconds until the tables were true, by what had happened
        self._follower = follower
        self._rate = rate
        self._dice = random.Random(seed)

    def fill(self, count: int) -> None:
        for number in range(count):
            change(self._follower.server, self._dice, number)

    async def run(self, seconds: float) -> None:
        began, made = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            while made < passed * self._rate:
                made += 1
                self.made += 1
                change(self._follower.server, self._dice, self.made)
            await asyncio.sleep(0.005)
        self.seconds += time.perf_counter() - began

    async def settle(self, what: str) -> None:
        """Wait until the snapshot is the server's truth, and hold the tables that grew against new ones."""
        clock = asyncio.get_running_loop().time
        began = clock()
        await self._follower.until(lambda: is_true(self._follower), PATIENCE)
        self.lags[what] = clock() - began
        assert self._follower.tables is not None
        assert same(self._follower.tables, compile_tables(self._follower.snapshot)), what


async def survive(follower: Follower, churn: Churn, config: Path, seconds: float) -> None:
    """Every misfortune of the acceptance test in `seconds` of changes, then an hour's outage; the tables are held
    against the truth after each."""
    api, running = follower.server, follower.running

    async def restart() -> None:
        await running.close()
        api.etcd.compact()
        await running.open()

    async def at_once(work: Callable[[], object]) -> None:
        work()

    mishaps: dict[str, Callable[[], Awaitable[None]]] = {
        "first cut of all watches": lambda: at_once(api.cut),
        "garbage in two watches": lambda: at_once(lambda: setattr(api.faults, "garbage", 2)),
        "second cut": lambda: at_once(api.cut),
        "410 Gone": lambda: at_once(lambda: (api.cut(), api.etcd.compact())),
        "third cut": lambda: at_once(api.cut),
        "three refusals": lambda: at_once(lambda: (api.faults.refuse("/api/v1/pods", 500, times=3), api.cut())),
        "restart of the server": restart,
    }
    each = seconds / (len(mishaps) + 1) / 2
    for name, mishap in mishaps.items():
        await churn.run(each)
        await mishap()
        await churn.run(each)
        await churn.settle(name)
    await churn.run(2 * each)
    await churn.settle("nothing but changes")
    await an_hour_alone(follower, churn, config)


async def an_hour_alone(follower: Follower, churn: Churn, config: Path) -> None:
    """The server is away for an hour, in which its objects change, its history goes, and the agent's token expires."""
    await follower.running.close()
    failures = {row.name: row.failures for row in follower.source.status()}
    await pass_time(HOUR / 2)
    churn.fill(500)
    follower.server.etcd.compact()
    follower.server.faults.token = "renewed"
    kubeconfig(config, follower.running.url, {"token": "renewed"})
    await pass_time(HOUR / 2)
    tries = [row.failures - failures[row.name] for row in follower.source.status()]
    # A pause of 15 to 30 s between them, so that a thousand agents do not keep a server from coming back.
    assert all(HOUR / 30 <= count <= HOUR / 15 + 10 for count in tries), tries
    assert len(set(tries)) > 1, "all watches try in step"
    await follower.running.open()
    await pass_time(PATIENCE)
    await churn.settle("an hour's outage")
