"""The HTTP suite's cases: how many connections ask for which body."""

from __future__ import annotations

from typing import NamedTuple

from . import rules

#: What the load sends: enough for the ten rules to have something to compare. wrk sends a Host of its own unless the
#: name is written just so.
HEADERS = {"Host": rules.HOST, "User-Agent": "wrk", "Accept": "*/*", "end-user": "alice", "x-device": "desktop"}


class Case(NamedTuple):
    name: str
    path: str
    connections: int


CASES = (
    Case("small-32", "/small", 32),
    Case("small-128", "/small", 128),
    Case("10k-32", "/10k", 32),
    Case("10k-128", "/10k", 128),
    Case("1m-32", "/1m", 32),
    Case("1m-128", "/1m", 128),
)
