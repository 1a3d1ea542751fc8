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


#: mallopt(3): bytes from which on a piece of memory is the system's own to take back, and not the heap's; and how many
#: heaps there are. glibc changes both by what it sees: a large message then stays where it was for good.
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LARGE: Final = 256 * 1024


class Allocator:
    """The C library's malloc, which keeps what is freed for itself unless it is asked."""

    __slots__ = ("trims", "_trim", "_set")

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)  # glibc has it (malloc_trim(3)), musl needs none
        self._set = getattr(library, "mallopt", None)
        self.trims = 0

    def keep_apart(self) -> None:
        """Of a process with large messages and a few threads: what is large goes back as soon as it is free."""
        if self._set is not None:
            self._set(M_MMAP_THRESHOLD, LARGE)
            self._set(M_ARENA_MAX, 1)

    def let_go(self) -> None:
        """Give back what is free. Takes some milliseconds."""
        self.trims += 1
        if self._trim is not None:
            self._trim(0)

    def look(self, buffers: Account) -> None:
        """Let go where much has been freed since the last time."""
        freed = buffers.peak - buffers.used
        if freed >= WORTH:
            buffers.peak = buffers.used
            self.let_go()
