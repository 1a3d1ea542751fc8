"""Memory that is free again goes back to the system."""

from __future__ import annotations

import ctypes
from typing import Final

from ..gate import Account

#: Seconds between two looks.
LOOK: Final = 5.0

#: Bytes that were buffered and are not any more, from which on the allocator is asked to let go of what it has free,
#: which takes it some milliseconds.
WORTH: Final = 8 * 1024 * 1024


class Allocator:
    """The C library's malloc, which keeps what is freed for itself unless it is asked."""

    __slots__ = ("trims", "_trim")

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it (malloc_trim(3)), musl needs none
        self.trims = 0

    def look(self, buffers: Account) -> None:
        """Let go where much has been freed since the last time."""
        freed = buffers.peak - buffers.used
        if freed >= WORTH:
            buffers.peak = buffers.used
            self.trims += 1
            if self._trim is not None:
                self._trim(0)
