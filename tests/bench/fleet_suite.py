"""Suite `fleet`: a thousand agents by one relay: what they cost the API server with and without it; how soon a change
is with all of them, and what it costs the relay; that what they have is the truth; and that it is so again, and how
soon, when the relay is killed amid changes and a second one, which has just started, is all that is left.

API server, relay and agents are a process each; agents speak the protocol, and are cheap so that two cores suffice."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.apiserver.running import Running, kubeconfig
from tests.apiserver.server import ApiServer

from . import cluster, jobs
from .fleet_agents import KINDS
from .outcome import Figure, Options, Outcome
from .processes import Cores, Failed, Process, free_port

AGENTS, QUICK_AGENTS = 1_000, 100
SERVICES, QUICK_SERVICES = 1_000, 200
CHANGES, RATE = 300, 30  # in all, and a second
KILLED = CHANGES // 3  # changes until the relay is killed
PATIENCE = 300.0  # seconds
BOOKMARKS = 64 * 1024  # bytes that the API server may send the relay while agents start
MIB = 2**20
SENT = "nodemesh_relay_sent_bytes_total "


def name(count: int, services: int) -> str:
    """The case's name."""
    return f"{count:,} agents, {services:,} services"


def run(options: Options) -> Outcome:
    count = QUICK_AGENTS if options.quick else AGENTS
    size = cluster.Size(QUICK_SERVICES if options.quick else SERVICES, 20, 10)
    case = name(count, size.services)
    return asyncio.run(Fleet(case, count, size).measured()) if options.wants(case) else Outcome([], [], [])


class Agents:
    """The process of many agents, which answers in lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise Failed("the agents have ended; what they said stands above")
        found: dict[str, float] = json.loads(line)
        return found

    async def ask(self, made: dict[str, float], truth: dict[str, str]) -> dict[str, float]:
        """Once all have heard of these changes: how soon, and how many agents have something else than the truth."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"made": made, "truth": truth}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.answer()


@asynccontextmanager
async def agents(ports: Sequence[int], count: int, encoding: str, cores: Cores) -> AsyncIterator[Agents]:
    """They begin at the first of these ports."""
    cpus = ",".join(map(str, sorted(cores.load)))
    words = [sys.executable, "-m", f"{__package__}.fleet_agents", ",".join(map(str, ports)), str(count), encoding]
    process = await asyncio.create_subprocess_exec(
        *("taskset", "--cpu-list", cpus, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=jobs.environment(),
    )
    try:
        yield Agents(process)
    finally:
        process.kill()
        await process.wait()


class Fleet:
    """One run: the API server is this process."""

    def __init__(self, case: str, count: int, size: cluster.Size) -> None:
        self.case, self.count, self.size = case, count, size
        self.api, self.cores = ApiServer(), Cores.share()
        self.api.apply(*bulky(size))
        self.outcome = Outcome([], [], [f"each agent follows {', '.join(KINDS)}; all of them are one process"])

    def found(self, subject: str, title: str, value: float, unit: str = "") -> None:
        self.outcome.figures.append(Figure(self.case, subject, title, value, unit))

    async def measured(self) -> Outcome:
        running = Running(self.api, asyncio.get_running_loop())
        await running.open()
        with tempfile.TemporaryDirectory(prefix="nodemesh-bench-") as folder:
            config = kubeconfig(Path(folder) / "kubeconfig", running.url)
            try:
                whole = await self.direct(running.port)
                self.api.sent = 0
                left = self.api.watching  # the server has not noticed yet that they are gone
                async with self.relay(config, Path(folder)) as (first, port):
                    own, told = self.api.watching - left, self.api.sent
                    second = free_port()
                    async with agents((port, second), self.count, "deflate", self.cores) as all_of_them:
                        await self.started(all_of_them, port, own, told, whole)
                        if self.api.sent - told > BOOKMARKS or self.api.watching - left > own:
                            self.outcome.mistakes.append("agents by a relay cost the API server something")
                        await self.changed(all_of_them, first)
                        async with self.relay(config, Path(folder), second):
                            await self.killed(all_of_them, first, left + 2 * own)
            finally:
                await running.close()
        return self.outcome

    async def direct(self, port: int) -> float:
        """One agent without a relay; a thousand cost a thousand times as much, in bytes."""
        async with agents((port,), 1, "identity", self.cores) as one:
            await one.answer()
            self.found("without", "watches at the API server", self.api.watching * self.count)
            self.found("without", "cold start", self.api.sent * self.count / MIB, "MiB")
            return self.api.sent * self.count

    @asynccontextmanager
    async def relay(self, config: Path, folder: Path, port: int = 0) -> AsyncIterator[tuple[Process, int]]:
        """One that is ready, at this port or any."""
        port = port or free_port()
        words = [sys.executable, "-m", f"{__package__}.fleet_relay", str(config), str(port)]
        relay = Process("relay", words, self.cores.proxy, folder / f"relay-{port}.txt", jobs.environment())
        try:
            await until(lambda: asked(port, "/readyz"))
            yield relay, port
        finally:
            relay.stop()

    async def started(self, all_of_them: Agents, port: int, own: int, told: int, whole: float) -> None:
        """What their start costs: `own` watches and `told` bytes of the API server are the relay's."""
        began = await all_of_them.answer()
        sent = await sent_by(port)
        self.found("by relay", "watches at the API server", own)
        self.found("by relay", "cold start", told / MIB, "MiB")
        self.found("by relay", "cold start of agents", sent / MIB, "MiB")
        self.found("by relay", "cold start ÷ without", (told + sent) / whole * 100, "%")
        self.found("by relay", "all started in", began["seconds"], "s")

    async def changed(self, all_of_them: Agents, relay: Process) -> None:
        """How soon changes are with all, and what they cost."""
        before, cpu = self.api.sent, relay.usage().cpu
        made = await self.change(range(CHANGES))
        heard = await all_of_them.ask(made, self.truth())
        usage = relay.usage()
        self.found("by relay", "a change to all, median", heard["median"] * 1000, "ms")
        self.found("by relay", "a change to all, p99", heard["p99"] * 1000, "ms")
        self.found("by relay", "a change to all, worst", heard["worst"] * 1000, "ms")
        self.found("by relay", "relay's CPU for a change", (usage.cpu - cpu) / CHANGES * 1000, "ms")
        self.found("by relay", "relay's memory", usage.proportional / MIB, "MiB")
        self.found("by relay", "API server's bytes for a change", (self.api.sent - before) / CHANGES, "B")
        self.judge(heard)

    async def killed(self, all_of_them: Agents, relay: Process, watches: int) -> None:
        """The relay that all of them ask is killed amid changes. `watches` is how many the API server has at most: both
        relays', none of an agent."""
        made = await self.change(range(CHANGES, CHANGES + KILLED))
        relay.popen.kill()
        made |= await self.change(range(CHANGES + KILLED, 2 * CHANGES))
        heard = await all_of_them.ask(made, self.truth())
        self.found("relay killed", "a change to all, median", heard["median"] * 1000, "ms")
        self.found("relay killed", "a change to all, worst", heard["worst"] * 1000, "ms")
        self.found("relay killed", "watches begun again", heard["cut"])
        self.judge(heard)
        if heard["cut"] < self.count * len(KINDS):
            self.outcome.mistakes.append("the relay was killed, and not every watch was cut")
        if self.api.watching > watches:
            self.outcome.mistakes.append("agents turned to the API server, although there is a relay")

    def judge(self, heard: dict[str, float]) -> None:
        if heard["wrong"]:
            self.outcome.mistakes.append(f"{heard['wrong']:.0f} agents have other EndpointSlices than the API server")

    def truth(self) -> dict[str, str]:
        """The EndpointSlices' versions by name."""
        return {
            data["metadata"]["name"]: data["metadata"]["resourceVersion"] for data in self.api.objects("EndpointSlice")
        }

    async def change(self, numbers: range) -> dict[str, float]:
        """RATE changes a second: when each was made, by its version."""
        made: dict[str, float] = {}
        began = time.monotonic()
        for place, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, began + place / RATE - time.monotonic()))
            revision = 1 + number // self.size.services
            made[str(self.api.etcd.revision + 1)] = time.monotonic()
            self.api.apply(cluster.endpoint_slice(self.size, number % self.size.services, revision))
        return made


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


async def asked(port: int, path: str) -> str:
    """What the relay answers; empty where it does not, or not well."""

    def get() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return ""

    return await asyncio.to_thread(get)


async def sent_by(port: int) -> int:
    """The bytes that the relay has sent."""
    lines = (await asked(port, "/metrics")).splitlines()
    return next(int(line.removeprefix(SENT)) for line in lines if line.startswith(SENT))


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    end = time.monotonic() + PATIENCE
    while not await condition():
        if time.monotonic() > end:
            raise Failed("the relay does not become ready")
        await asyncio.sleep(0.02)
