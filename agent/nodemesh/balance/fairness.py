"""What one pod may take of the node's proxy, so that it cannot starve the others."""

from __future__ import annotations

from ..config.meshconfig import PodLimits


class PodBudget:
    """One pod's use in one worker: connections, requests in flight, bytes buffered on its behalf. Each `try_…` that
    answers True is to be paid back. A refusal is answered with reason LIMIT_PER_POD; where buffering is refused, the
    proxy stops reading from that pod until `buffers_low`."""

    __slots__ = ("buffered", "connections", "limits", "refusals", "requests", "share_of_requests", "workers")

    def __init__(self, limits: PodLimits, workers: int = 1) -> None:
        self.configure(limits, workers)
        self.connections = 0
        self.requests = 0
        self.buffered = 0
        self.refusals = 0

    def configure(self, limits: PodLimits, workers: int) -> None:
        """Take new limits; what is in use stays counted."""
        self.limits = limits
        self.workers = workers
        self.share_of_requests = self.share(limits.requests)

    def share(self, limit: int) -> int:
        """This worker's part of the pod's limit, rounded up: connections spread evenly over the workers."""
        return -(-limit // self.workers)

    def try_connection(self) -> bool:
        if self.connections >= self.share(self.limits.connections):
            self.refusals += 1
            return False
        self.connections += 1
        return True

    def release_connection(self) -> None:
        self.connections -= 1

    def try_request(self) -> bool:
        if self.requests >= self.share_of_requests:
            self.refusals += 1
            return False
        self.requests += 1
        return True

    def release_request(self) -> None:
        self.requests -= 1

    def try_buffer(self, size: int) -> bool:
        """Whether `size` more bytes may be held. One piece may pass the limit, lest a large one never gets through."""
        if self.buffered >= self.share(self.limits.buffered_bytes):
            return False
        self.buffered += size
        return True

    def release_buffer(self, size: int) -> None:
        self.buffered -= size

    @property
    def buffers_low(self) -> bool:
        """Whether a pod that was stopped may be read from again: half of its share is free."""
        return self.buffered * 2 <= self.share(self.limits.buffered_bytes)
