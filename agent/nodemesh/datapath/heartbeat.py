"""The data plane's heartbeat: how the hooks know that redirected connections would be served."""

from __future__ import annotations

import time

from . import bpf
from .maps import HEARTBEATS, U32, U64


class Heartbeat:
    """One worker's slot. To be beaten by the loop that must be alive, not by a thread beside it, a few times within the
    limit (`Maps.configure`). The hooks compare with bpf_ktime_get_ns(), which is CLOCK_MONOTONIC."""

    def __init__(self, map_fd: int, slot: int) -> None:
        if not 0 <= slot < HEARTBEATS:
            raise ValueError(f"heartbeat slot {slot}: there are slots 0 to {HEARTBEATS - 1}")
        self._map = bpf.Map(map_fd)
        self._slot = U32.pack(slot)

    def beat(self) -> None:
        self._map.update(self._slot, U64.pack(time.monotonic_ns()))

    def stop(self) -> None:
        """Let connections pass at once: for a worker that ends in order."""
        self._map.update(self._slot, U64.pack(0))
