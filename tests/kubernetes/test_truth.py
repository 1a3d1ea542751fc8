"""Under a thousand changes a second and every misfortune at once, the tables end up equal to the server's truth."""

from __future__ import annotations

import asyncio
import random

from tests.apiserver.server import ApiServer
from tests.clusters import Follower, endpoint_slice, pod, service, virtual_service

from nodemesh.config.load import load_object
from nodemesh.registry.snapshot import Snapshot
from nodemesh.registry.store import Store

#: Changes a second, and seconds. Real time passes here, but none of it decides.
RATE = 1000
SECONDS = 4
SERVICES = 40


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


def truth(follower: Follower) -> Snapshot:
    """What a store makes of the server's objects, taken in all at once; of remote pods only the metadata, of
    services no selector."""
    objects = []
    for kind in ("Namespace", "Node", "Service", "EndpointSlice", "VirtualService", "Pod"):
        for data in follower.server.objects(kind):
            if kind == "Pod" and data["spec"]["nodeName"] != "node-a":
                data = {**data, "spec": {}, "status": {}}
            if kind == "Service":
                data = {**data, "spec": {**data["spec"], "selector": {}}}
            plain = {key: value for key, value in data["metadata"].items() if key != "resourceVersion"}
            objects += load_object({**data, "metadata": plain}, "truth").objects
    return Store().apply("truth", objects)


def comparable(snapshot: Snapshot) -> dict[str, object]:
    """Without what names the source, and the versions."""
    return {
        "workloads": dict(snapshot.workloads),
        "services": {
            host: [(item.addresses, item.ports, item.endpoints, item.created) for item in items]
            for host, items in snapshot.services.items()
        },
        "rules": {key: (item.meta, item.spec) for key, item in snapshot.virtual_services.items()},
    }


def test_the_tables_equal_the_truth_after_all_of_it(play):
    api = ApiServer()
    dice = random.Random(5)
    for number in range(300):
        change(api, dice, number)

    async def story(follower: Follower) -> None:
        await follower.until(lambda: follower.batches)
        clock = asyncio.get_running_loop().time
        began, number = clock(), 0
        mishaps = iter(
            [
                follower.server.cut,
                lambda: setattr(api.faults, "garbage", 2),
                follower.server.cut,
                api.etcd.compact,
                follower.server.cut,
                lambda: api.faults.refuse("/api/v1/pods", 500, times=3),
                "restart",
            ]
        )
        while clock() - began < SECONDS:
            while number < (clock() - began) * RATE:
                number += 1
                change(api, dice, number)
                if number % (RATE * SECONDS // 8) == 0:
                    mishap = next(mishaps, None)
                    if mishap == "restart":
                        await follower.running.close()
                        api.etcd.compact()
                        await follower.running.open()
                    elif mishap is not None:
                        mishap()
            await asyncio.sleep(0.005)
        assert number >= RATE * SECONDS * 0.9
        await follower.until(lambda: comparable(follower.snapshot) == comparable(truth(follower)), 40)
        assert follower.batches < SECONDS * 25  # events come in batches, not one by one

    play(story, api)
