"""Fresh values for x-request-id: random UUIDs (RFC 9562, version 4)."""

from __future__ import annotations

import os
from typing import Final

#: Random bytes are fetched for this many identifiers at a time: one system call instead of a thousand.
BATCH: Final = 1024


class RequestIds:
    """A source of UUIDs from the kernel's randomness."""

    __slots__ = ("_digits", "_position")

    def __init__(self) -> None:
        self._digits = b""
        self._position = 0

    def next(self) -> bytes:
        """One UUID in its text form."""
        start = self._position
        if start >= len(self._digits):
            self._digits = os.urandom(16 * BATCH).hex().encode()
            start = 0
        self._position = start + 32
        digits = self._digits[start : start + 32]
        # Version 4; the variant's two bits cost one digit its randomness here.
        return b"%b-%b-4%b-a%b-%b" % (digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:])
