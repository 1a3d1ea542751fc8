"""What suite `relay` sends: bytes that are known at every offset, so that lost, mixed or repeated ones show."""

from __future__ import annotations

import random

#: A prime: no power of two of bytes can be missing unseen.
PERIOD = 65_521

LONGEST = 1 << 20  # of one piece

_REPEATED = random.Random("relay").randbytes(PERIOD) * (LONGEST // PERIOD + 2)
_VIEW = memoryview(_REPEATED)


def at(offset: int, size: int) -> memoryview:
    """The bytes of a stream from `offset` on."""
    start = offset % PERIOD
    return _VIEW[start : start + size]
