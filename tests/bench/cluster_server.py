"""The API server of suite `cluster`: a big cluster behind HTTP, with churn on demand."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from typing import Any

from aiohttp import web
from tests.apiserver.server import ApiServer

from . import cluster
from .cluster import Size

#: What a pod's metadata is accompanied by on a real server: the fields of three managers.
MANAGED = [
    {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": cluster.DAY,
        "fieldsType": "FieldsV1",
        "fieldsV1": {f"f:{part}": {f"f:{name}": {} for name in ("image", "name", "ports", "env")} for part in "abcd"},
    }
    for manager in ("kube-controller-manager", "kubelet", "kube-scheduler")
]


def pods(size: Size, nodes: int) -> Iterator[dict[str, Any]]:
    """The pods behind the endpoints of cluster.endpoint_slice."""
    for number in range(size.services):
        for place in range(size.endpoints):
            index = number * size.endpoints + place
            meta = cluster.metadata(size, number)
            meta |= {
                "name": f"app-{number}-{place}",
                "uid": f"00000000-0000-4000-9000-{index:012d}",
                "labels": {**meta["labels"], "version": f"v{place % 3 + 1}", "pod-template-hash": "7d9c"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"app-{number}-7d9c", "controller": True}],
                "managedFields": MANAGED,
            }
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": meta,
                "spec": {"nodeName": f"node-{index % nodes}", "containers": []},
                "status": {"phase": "Running", "podIP": f"172.{16 + (index >> 16)}.{index >> 8 & 255}.{index & 255}"},
            }


def nodes(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        labels = {"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": f"zone-{number % 3}"}
        yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": labels}}


class Churn:
    """Endpoint slices that change so many times a second, one after the other."""

    def __init__(self, api: ApiServer, size: Size) -> None:
        self._api = api
        self._size = size
        self.rate = 0
        self.made = 0

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            await asyncio.sleep(0.01)
            if not self.rate:
                due = clock()
                continue
            while due <= clock():
                due += 1 / self.rate
                self.made += 1
                number = self.made * 97 % self._size.services
                self._api.apply(cluster.endpoint_slice(self._size, number, self.made))


async def main(port: int, size: Size, node_count: int) -> None:
    api = ApiServer()
    api.apply(*cluster.objects(size), *nodes(node_count), *pods(size, node_count))
    gc.freeze()  # its pauses would be measured as the agent's
    churn = Churn(api, size)

    async def numbers(_request: web.Request) -> web.Response:
        return web.json_response({"sent": api.sent, "changes": churn.made, "watches": api.watching})

    async def set_rate(request: web.Request) -> web.Response:
        churn.rate = int(request.match_info["rate"])
        return web.json_response({})

    app = web.Application(client_max_size=2**20)
    app.router.add_get("/bench", numbers)
    app.router.add_post("/bench/churn/{rate}", set_rate)
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await churn.run()


if __name__ == "__main__":
    port, services, rules, namespaces, node_count = (int(text) for text in sys.argv[1:])
    asyncio.run(main(port, Size(services=services, rules=rules, namespaces=namespaces), node_count))
