"""The data plane's heartbeat: how the hooks know that redirected connections would be served."""

from __future__ import annotations

import time
from typing import Final

from . import bpf
from .maps import HEARTBEATS, U32, U64

#: Nanoseconds for which a beat counts as the last one: to write it costs as much as a good part of a request, and a
#: busy loop has thousands of turns a second.
FRESH: Final = 100_000_000


class Heartbeat:
    """One worker's slot. To be beaten by the loop that must be alive, not by a thread beside it, a few times within the
    limit (`Maps.configure`). The hooks compare with bpf_ktime_get_ns(), which is CLOCK_MONOTONIC."""

    def __init__(self, map_fd: int, slot: int) -> None:
        if not 0 <= slot < HEARTBEATS:
            raise ValueError(f"heartbeat slot {slot}: there are slots 0 to {HEARTBEATS - 1}")
        self._map = bpf.Map(map_fd)
        self._slot = U32.pack(slot)
        self._due = 0  # when the next one is to be written

    def beat(self) -> None:
        now = time.monotonic_ns()
        if now >= self._due:
            self._map.update(self._slot, U64.pack(now))
            self._due = now + FRESH

    def stop(self) -> None:
        """Let connections pass at once: for a worker that ends in order."""
        self._due = 0
        self._map.update(self._slot, U64.pack(0))
