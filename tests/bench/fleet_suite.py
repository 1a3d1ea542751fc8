"""Suite `fleet`: a thousand agents by one relay, as tasks that speak its protocol: what they cost the API server with
and without it; how soon a change is with all of them; and that what they have is the truth."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.apiserver.running import Running, kubeconfig
from tests.apiserver.server import ApiServer

from nodemesh.registry.sources.kubernetes import ApiServer as Client
from nodemesh.registry.sources.kubernetes import from_kubeconfig
from nodemesh.relay.relay import ApiRelay, RelayOptions

from . import cluster
from .fleet_agents import KINDS, Agents
from .outcome import Figure, Options, Outcome

AGENTS, QUICK_AGENTS = 1_000, 100
SERVICES, QUICK_SERVICES = 1_000, 200
CHANGES, RATE = 300, 30  # in all, and a second
PATIENCE = 300.0  # seconds
BOOKMARKS = 64 * 1024  # bytes that the API server may send the relay while agents start
MIB = 2**20


def run(options: Options) -> Outcome:
    count = QUICK_AGENTS if options.quick else AGENTS
    size = cluster.Size(QUICK_SERVICES if options.quick else SERVICES, 20, 10)
    case = f"{count:,} agents, {size.services:,} services"
    return asyncio.run(measure(case, count, size)) if options.wants(case) else Outcome([], [], [])


async def measure(case: str, count: int, size: cluster.Size) -> Outcome:
    outcome = Outcome([], [], [f"each agent follows {', '.join(KINDS)}; all run in one process on this machine"])
    api = ApiServer()
    api.apply(*bulky(size))
    running = Running(api, asyncio.get_running_loop())
    await running.open()
    with tempfile.TemporaryDirectory() as folder:
        config = kubeconfig(Path(folder) / "kubeconfig", running.url)
        await direct(outcome, case, api, running.port, count)
        api.sent = 0
        left = api.watching  # the server has not noticed yet that they are gone
        client = Client(lambda: from_kubeconfig(str(config)))
        relay = ApiRelay(client, RelayOptions(host="127.0.0.1", port=0))
        serving = asyncio.create_task(relay.run())
        await until(lambda: relay.port and not relay.server.waiting_for())
        try:
            await relayed(outcome, case, api, relay, count, size, left)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await client.close()
            await running.close()
    return outcome


async def direct(outcome: Outcome, case: str, api: ApiServer, port: int, count: int) -> None:
    """One agent without a relay; a thousand cost a thousand times as much."""
    api.sent = 0
    agents = Agents("127.0.0.1", port, deflate=False)
    await agents.start(1)
    await until(lambda: agents.synced == 1)
    outcome.figures.append(Figure(case, "without", "watches at the API server", api.watching * count))
    outcome.figures.append(Figure(case, "without", "cold start", api.sent * count / MIB, "MiB"))
    agents.close()


async def relayed(
    outcome: Outcome, case: str, api: ApiServer, relay: ApiRelay, count: int, size: cluster.Size, left: int
) -> None:
    own, told = api.watching - left, api.sent
    agents = Agents("127.0.0.1", relay.port, deflate=True)
    began = time.monotonic()
    await agents.start(count)
    await until(lambda: agents.synced == count)
    figures = [
        Figure(case, "by relay", "watches at the API server", own),
        Figure(case, "by relay", "cold start", told / MIB, "MiB"),
        Figure(case, "by relay", "cold start of agents", relay.server.sent / MIB, "MiB"),
        Figure(case, "by relay", "all started in", time.monotonic() - began, "s"),
    ]
    if api.sent - told > BOOKMARKS or api.watching - left > own:
        outcome.mistakes.append("agents by a relay cost the API server something")
    sent, lags = api.sent, await change(api, agents, size)
    figures += [
        Figure(case, "by relay", "a change to all, median", statistics.median(lags) * 1000, "ms"),
        Figure(case, "by relay", "a change to all, worst", max(lags) * 1000, "ms"),
        Figure(case, "by relay", "API server's bytes for a change", (api.sent - sent) / CHANGES, "B"),
    ]
    outcome.figures.extend(figures)
    wrong = agents.wrong({data["metadata"]["name"]: data["metadata"]["resourceVersion"]
                          for data in api.objects("EndpointSlice")})  # fmt: skip
    if wrong:
        outcome.mistakes.append(f"{wrong} agents have other EndpointSlices than the API server")
    agents.close()


async def change(api: ApiServer, agents: Agents, size: cluster.Size) -> list[float]:
    """RATE changes a second; for each agent that hears of each, the seconds from the change until then."""
    began = time.monotonic()
    for number in range(CHANGES):
        await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
        data = cluster.endpoint_slice(size, number % size.services, 1 + number // size.services)
        agents.expect(str(api.etcd.revision + 1))
        api.apply(data)
    await until(lambda: agents.heard_all(CHANGES))
    return agents.lags


def bulky(size: cluster.Size) -> list[dict[str, Any]]:
    """The cluster with its pods, each with what real ones carry beside what agents read."""
    fields = {"f:metadata": {"f:labels": {f"f:label-{number}": {} for number in range(30)}}}
    managed = {"managedFields": [{"manager": name, "fieldsV1": fields} for name in ("kubelet", "controller")]}
    found = list(cluster.objects(size))
    for number in range(size.services):
        for place in range(size.endpoints):
            meta = {**cluster.metadata(size, number), **managed}
            meta |= {"name": f"app-{number}-{place}", "uid": f"pod-{number}-{place}"}
            spec = {"nodeName": f"node-{number % 200}", "containers": [{"name": "app", "image": "app"}]}
            found.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": {}})
    for data in found:
        data["metadata"].pop("resourceVersion", None)
    return found


async def until(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        await asyncio.sleep(0.02)
