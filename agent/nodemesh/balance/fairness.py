"""What one pod may take of the node's proxy, so that it cannot starve the others."""

from __future__ import annotations

from ..config.meshconfig import PodLimits


class PodBudget:
    """One pod's use in one worker: connections and requests in flight. Each `try_…` that answers True is to be paid
    back; a refusal is answered with reason LIMIT_PER_POD. Bytes buffered on its behalf are counted where they flow
    (`proxy.gate`), against `buffer_share`."""

    __slots__ = (
        "connections", "limits", "refusals", "requests", "share_of_connections", "share_of_requests", "workers",
    )  # fmt: skip

    def __init__(self, limits: PodLimits, workers: int = 1) -> None:
        self.configure(limits, workers)
        self.connections = 0
        self.requests = 0
        self.refusals = 0

    def configure(self, limits: PodLimits, workers: int) -> None:
        """Take new limits; what is in use stays counted."""
        self.limits = limits
        self.workers = workers
        self.share_of_connections = self.share(limits.connections)
        self.share_of_requests = self.share(limits.requests)

    def share(self, limit: int) -> int:
        """This worker's part of the pod's limit, rounded up: connections spread evenly over the workers."""
        return -(-limit // self.workers)

    @property
    def buffer_share(self) -> int:
        """Bytes that may be buffered here on the pod's behalf."""
        return self.share(self.limits.buffered_bytes)

    def try_connection(self) -> bool:
        if self.connections >= self.share_of_connections:
            self.refusals += 1
            return False
        self.connections += 1
        return True

    def release_connection(self) -> None:
        self.connections -= 1

    def try_request(self, weight: int = 1) -> bool:
        """`weight`: as how many it counts. The last one may pass the limit."""
        if self.requests >= self.share_of_requests:
            self.refusals += 1
            return False
        self.requests += weight
        return True

    def release_request(self, weight: int = 1) -> None:
        self.requests -= weight
