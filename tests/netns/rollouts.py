"""Rolling restarts as a real cluster makes them: a deletionTimestamp, SIGTERM some milliseconds later, and the
EndpointSlice's controller up to a second after both; the app ends at SIGTERM at once, without a preStop hook."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import Any

import yaml
from tests.apiserver.running import Running, kubeconfig, running
from tests.netns.nodes import NodeAgent, until

from nodemesh.lab import Lab, LabPod, LabPort

WEB, RAW = 9080, 9081
REPLICAS = 3
#: Seconds from the deletion to SIGTERM, and to the controller's word.
SIGTERM_AFTER = (0.010, 0.050)
SLICE_AFTER = (0.1, 1.0)
HERE = Path(__file__).parent
HASH = "7d9c"  # of the pods' template
NOW = "2026-01-01T00:00:00Z"


@dataclass
class Replica:
    """A pod as the cluster knows it, in one of the lab's, whose address others have after it."""

    name: str
    uid: str
    slot: LabPod
    process: subprocess.Popen[Any]
    deleted: bool = False
    ended: bool = False

    def manifest(self) -> dict[str, Any]:
        stamp = {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 30} if self.deleted else {}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name, "namespace": "default", "uid": self.uid,
                "labels": {"app": "web", "pod-template-hash": HASH},
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"web-{HASH}", "controller": True}], **stamp,
            },
            "spec": {"nodeName": "b", "containers": [{"name": "app", "image": "app"}]},
            "status": {
                "phase": "Running", "podIP": self.slot.ip, "conditions": [{"type": "Ready", "status": "True"}],
            },
        }  # fmt: skip


@dataclass
class Deployment:
    """The pods behind `web`, and the controllers that speak of them late."""

    lab: Lab
    server: Running
    slots: list[LabPod]
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    replicas: list[Replica] = field(default_factory=list)
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self) -> Replica:
        """A new pod, ready, at an address that is free; its slice comes later."""
        with self._lock:
            taken = {replica.slot.name for replica in self.replicas}
        slot = next(slot for slot in self.slots if slot.name not in taken)
        self.slots.remove(slot)
        self.slots.append(slot)  # the longest free is next
        self.made += 1
        command: list[str | Path] = [sys.executable, "-IS", HERE / "rollout_app.py", str(WEB), str(RAW)]
        process = slot.popen(command, stdin=subprocess.DEVNULL)
        slot.wait_listening(WEB)
        slot.wait_listening(RAW)
        made = Replica(f"web-{self.made}", f"00000000-0000-4000-9000-{self.made:012d}", slot, process)
        with self._lock:
            self.replicas.append(made)
        self.server.call(lambda api: api.apply(made.manifest()))
        return made

    def publish(self) -> None:
        """What the EndpointSlice's controller says of the pods as they are now."""
        with self._lock:
            entries = [
                {
                    "addresses": [one.slot.ip],
                    "conditions": {"ready": not one.deleted, "serving": True, "terminating": one.deleted},
                    "nodeName": "b",
                    "targetRef": {"kind": "Pod", "name": one.name, "namespace": "default", "uid": one.uid},
                }
                for one in self.replicas
                if not one.ended
            ]
        piece = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": WEB}, {"name": "tcp", "port": RAW}],
            "endpoints": entries,
        }
        self.server.call(lambda api: api.apply(piece))

    def publish_late(self) -> threading.Timer:
        timer = threading.Timer(self.dice.uniform(*SLICE_AFTER), self.publish)
        timer.start()
        return timer

    def end(self, replica: Replica, known: Callable[[Replica], None] | None) -> threading.Timer:
        """Delete a pod: stamp, SIGTERM, gone; the slice is told of it late. `known` waits before SIGTERM."""
        replica.deleted = True
        self.server.call(lambda api: api.apply(replica.manifest()))
        late = self.publish_late()
        time.sleep(self.dice.uniform(*SIGTERM_AFTER))
        if known is not None:
            known(replica)
        replica.process.terminate()
        replica.process.wait(10)
        replica.ended = True
        self.server.call(lambda api: api.delete("Pod", replica.name))
        return late

    def restart(self, known: Callable[[Replica], None] | None = None) -> None:
        """One rolling restart: a new pod for an old one, one after the other (maxSurge 1, maxUnavailable 0)."""
        for old in list(self.replicas):
            self.add()
            self.publish_late().join()
            self.end(old, known).join()
            self.publish()
            with self._lock:
                self.replicas.remove(old)


class Rollouts:
    """The client's node, the deployment and the API server."""

    def __init__(self, lab: Lab, server: Running) -> None:
        self.lab = lab
        self.server = server
        ports = [LabPort(WEB, name="http"), LabPort(RAW, name="tcp")]
        self.service = lab.service("web", ports=ports, selector={"app": "web"})
        self.client = lab.pod("client", labels={"app": "client"})
        objects = [data for data in yaml.safe_load_all(lab.manifests()) if data]
        for data in objects:
            if data["kind"] == "Pod":
                data["spec"]["nodeName"] = "a"
        server.call(lambda api: api.apply(*(data for data in objects if data["kind"] != "Node")))
        slots = [lab.pod(f"slot-{number}", labels={"app": "web"}) for number in range(2 * REPLICAS)]
        self.deployment = Deployment(lab, server, slots)
        for _ in range(REPLICAS):
            self.deployment.add()
        self.deployment.publish()
        self.config = kubeconfig(lab.folder / "kubeconfig", server.url)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.agent = NodeAgent(lab, "a", self.config, self.port)
        until(self.agent.ready, f"{self.agent.log} to say that it is ready")

    def modes(self) -> dict[str, str]:
        """Of the service's ports: which way, and why."""
        (web,) = [row for row in self.agent.get("/services") if row["host"].startswith("web.")]
        return {port["name"]: f"{port['mode']}: {port['mode_reason']}" for port in web["ports"]}

    def in_kernel(self) -> bool:
        return all(mode == "kernel: no rule needs L7" for mode in self.modes().values())

    def knows_that_it_leaves(self, replica: Replica) -> None:
        """Wait for it."""
        until(
            lambda: all(
                row["health"] != "ready" for row in self.agent.get("/endpoints") if row["address"] == replica.slot.ip
            ),
            f"{replica.name} to be known to leave",
        )

    @contextmanager
    def load(self, requests: int, connections: int, wanted: str = "") -> Iterator[dict[str, Any]]:
        """So many a second of each; what became of them is told in what is yielded, once it is over. An answer without
        `wanted` in its head is a failure."""
        address = self.service.addresses[0]
        command = [sys.executable, "-IS", HERE / "rollout_load.py", address, WEB, RAW, requests, connections, wanted]
        process = self.client.popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None and process.stdout is not None
        found: dict[str, Any] = {}
        assert process.stdout.readline() == "started\n"
        try:
            yield found
        finally:
            process.stdin.close()
            found.update(loads(process.stdout.read()))
            process.wait(30)


@contextmanager
def rollouts(name: str) -> Iterator[Rollouts]:
    with running() as server, Lab(name) as lab:
        lab.namespace("default", {"nodemesh.io/mesh": "enabled"})
        yield Rollouts(lab, server)
