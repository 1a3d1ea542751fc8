"""One endpoint of a group with everything that is remembered about it while it stays."""

from __future__ import annotations

from math import exp
from typing import Final

from ..registry.snapshot import Endpoint
from .rows import ACTIVE, EJECTED_AT, CounterRow

#: Linkerd's: what an endpoint counts with that has not answered yet, and the time constant of forgetting, in seconds.
DEFAULT_LATENCY: Final = 0.03
DECAY: Final = 10.0


class Host:
    """`pool` is the proxy's own: its connections to this endpoint. Whoever sends a request (or opens a TCP connection)
    brackets it with `begin` and `end`; `load` is what the whole node has in flight there."""

    __slots__ = (
        "address",
        "cell",
        "cells",
        "endpoint",
        "latency",
        "measured",
        "member",
        "pool",
        "port",
        "priority",
        "ready_since",
        "requests",
        "row",
        "used",
    )

    def __init__(self, endpoint: Endpoint, row: CounterRow, ready_since: float) -> None:
        self.endpoint = endpoint
        self.address = endpoint.address
        self.port = endpoint.port
        self.row = row
        self.cells = row.cells
        self.cell = row.cell(ACTIVE)
        self.ready_since = ready_since  # when it became ready, by the group's clock; warmup counts from here
        self.member = True  # one of its group's endpoints: neither one that left nor a dialled address
        self.priority = 0
        self.requests = 0  # begun so far by this worker
        self.latency = DEFAULT_LATENCY  # seconds, at `measured`
        self.measured = ready_since
        self.used = ready_since  # when a passthrough host was last asked for
        self.pool: object = None

    def __repr__(self) -> str:
        state = " ejected" if self.ejected else ""
        return f"<Host {self.address}:{self.port}{state} load={self.load}>"

    def begin(self) -> None:
        self.requests += 1
        self.cells[self.cell] += 1

    def end(self) -> None:
        self.cells[self.cell] -= 1

    def observe(self, seconds: float, now: float) -> None:
        """Take a request's latency in: one that is worse than what is left of those before counts at once."""
        self.latency = max(self.latency_at(now), seconds)
        self.measured = now

    def latency_at(self, now: float) -> float:
        """What is left of the latency: without news it is believed less and less."""
        age = now - self.measured
        return self.latency * exp(-age / DECAY) if age > 0.0 else self.latency

    @property
    def weight(self) -> int:
        return self.endpoint.weight or 1  # Istio reads an absent weight as 1

    @property
    def load(self) -> int:
        return self.row.total(ACTIVE)

    @property
    def ejected(self) -> bool:
        return any(self.row.values(EJECTED_AT))
