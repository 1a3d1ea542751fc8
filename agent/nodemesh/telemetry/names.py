"""What became of DNS queries, in numbers."""

from __future__ import annotations

import msgspec


class Names(msgspec.Struct, array_like=True):
    """Of all pods together. A query is answered here, forwarded, refused or malformed; a forwarded one may fail."""

    answered: int = 0
    forwarded: int = 0
    refused: int = 0  # too many wait already, or its server is not known
    malformed: int = 0
    timeouts: int = 0
    unreachable: int = 0
    mismatched: int = 0  # datagrams that came in an answer's stead and were ignored

    def __add__(self, other: Names) -> Names:
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Names(*(one + another for one, another in zip(mine, theirs, strict=True)))

    def __sub__(self, other: Names) -> Names:
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Names(*(one - another for one, another in zip(mine, theirs, strict=True)))
