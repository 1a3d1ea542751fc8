"""Fresh values for x-request-id: random UUIDs (RFC 9562, version 4)."""

from __future__ import annotations

import os
from struct import iter_unpack
from typing import Final

#: So many identifiers are made at a time: one system call instead of a hundred.
BATCH: Final = 128

#: Where a UUID's five groups stand in its 32 digits; the version's digit is left out, and the variant's.
GROUPS: Final = "8s4sx3sx3s12s"


class RequestIds:
    """A source of UUIDs from the kernel's randomness."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: list[bytes] = []

    def next(self) -> bytes:
        """One UUID in its text form."""
        if not self._made:
            digits = os.urandom(16 * BATCH).hex().encode()
            # Version 4; the variant's two bits cost one digit its randomness here.
            self._made = [b"%b-%b-4%b-a%b-%b" % groups for groups in iter_unpack(GROUPS, digits)]
        return self._made.pop()
