"""One of all agents is chosen, where one is enough: the holder of a Lease (coordination.k8s.io/v1).

    nobody holds it, or its holder has been silent for the Lease's duration  ->  take it
    somebody else holds it                                                   ->  look again later
    we hold it                                                               ->  renew it when a third has passed

How long somebody has been silent is counted from when this process saw the Lease change, by its own clock: the times
written in it are other machines' (client-go's leader election does the same). Whoever is slower in writing is told so
by the server, and has not got it. Should two act all the same for a moment, what they write is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..registry.sources.api import Api, ApiError

LEASE = "nodemesh-reporter"

#: Seconds that a Lease is good for without being renewed.
LEASE_SECONDS = 12

#: About the seconds before the others look again, and after an error. Who looked a moment before the last renewal sees
#: it at the next look, and that none followed at one that comes LEASE_SECONDS and a pause later: within half a minute.
PAUSE_SECONDS = 3.5

#: Of these, the seconds after which the holder renews it.
RENEW_SECONDS = LEASE_SECONDS / 3

JSON = "application/json"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def micro_time(moment: datetime) -> str:
    """meta/v1 MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Election:
    """`identity` is this agent's name, `namespace` where the Lease stands. `monotonic` counts seconds; `now` is only
    written down."""

    def __init__(
        self, api: Api, identity: str, namespace: str, monotonic: Callable[[], float], now: Clock = utc_now
    ) -> None:
        self._api = api
        self._identity = identity
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._monotonic = monotonic
        self._now = now
        self._ours_until = 0.0
        self._seen: tuple[str, str] | None = None  # another's Lease: who holds it, in which version
        self._seen_at = 0.0
        self._lock = asyncio.Lock()

    async def hold(self) -> bool:
        """Whether this agent is the one; takes or renews the Lease where that is due. Raises ApiError."""
        async with self._lock:
            began = self._monotonic()
            if began < self._ours_until:
                return True
            self._ours_until = 0.0
            held = await self._take()
            if held:
                self._ours_until = began + RENEW_SECONDS
            return held

    async def _take(self) -> bool:
        try:
            lease = msgspec.json.decode(await self._api.get(f"{self._path}/{LEASE}", {}, JSON))
        except ApiError as error:
            if error.status != 404:
                raise
            return await self._write("POST", self._path, {"name": LEASE, "namespace": self._namespace}, {})
        meta, spec = lease["metadata"], lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._silent(holder, meta, spec):
            return False
        return await self._write("PUT", f"{self._path}/{LEASE}", meta, spec)

    def _silent(self, holder: str, meta: dict[str, Any], spec: dict[str, Any]) -> bool:
        seen = (holder, meta.get("resourceVersion", ""))
        now = self._monotonic()
        if seen != self._seen:
            self._seen, self._seen_at = seen, now
        return now - self._seen_at >= (spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    async def _write(self, method: str, path: str, meta: dict[str, Any], before: dict[str, Any]) -> bool:
        """False where somebody else was faster: `meta` has the version that is replaced."""
        now = micro_time(self._now())
        kept = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": before.get("acquireTime", now) if kept else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (0 if kept or not before else 1),
        }
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        try:
            await self._api.send(method, path, msgspec.Raw(msgspec.json.encode(lease)))
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True
