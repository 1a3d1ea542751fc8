"""A pod of the lab: what Kubernetes would say about it, and a place to start processes in."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from . import client
from .owner import LabError
from .place import ProcessPlace


class PodRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A pod as the API server knows it. `ports` are the container's, by name; `owner` is its ReplicaSet's name."""

    name: str
    namespace: str
    uid: str
    container_id: str
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    ips: tuple[str, ...] = ()
    ports: Mapping[str, int] = {}
    service_account: str = "default"
    owner: str = ""
    ready: bool = True

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class LabPod(ProcessPlace):
    """A running pod; `Lab.pod` makes it. Its record changes only through the lab, which rewrites the manifests."""

    def __init__(self, record: PodRecord, cgroup: Path, pid: int) -> None:
        super().__init__(record.name, cgroup, pid)
        self.record = record

    @property
    def key(self) -> str:
        return self.record.key

    @property
    def namespace(self) -> str:
        return self.record.namespace

    @property
    def ip(self) -> str:
        """The first address: IPv4's unless the lab has none."""
        return self.record.ips[0]

    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str = "",
        count: int = 1,
        concurrency: int = 1,
        duration: float = 0.0,
        timeout: float = 10.0,
    ) -> list[client.HttpAnswer]:
        """Send the same HTTP request `count` times, or one after the other for `duration` seconds, from inside the pod,
        each on a connection of its own; returns the answers in the order of the requests. No redirect is followed;
        `timeout` (seconds) is each request's."""
        job = client.Job(url, method, dict(headers or {}), body, count, concurrency, duration, timeout)
        limit = timeout * count / concurrency + duration + 10.0
        done = self.run([sys.executable, "-IS", client.__file__], input=json.dumps(job.__dict__), timeout=limit)
        if done.returncode != 0:
            raise LabError(f"{self.name}: the client exited with {done.returncode}: {done.stderr.strip()}")
        return [client.HttpAnswer(**answer) for answer in json.loads(done.stdout)]
