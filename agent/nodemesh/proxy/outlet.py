"""Where the connections of one client leave from: its network namespace, and the account that they are served on."""

from __future__ import annotations

from .gate import Gate


class Outlet:
    """`namespace` is the network namespace's fd (-1: the worker's own), `lane` the client's in the loop."""

    __slots__ = ("namespace", "lane", "gate")

    def __init__(self, namespace: int, lane: int, gate: Gate) -> None:
        self.namespace = namespace
        self.lane = lane
        self.gate = gate
