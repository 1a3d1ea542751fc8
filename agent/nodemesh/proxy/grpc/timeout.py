"""A client's deadline: `grpc-timeout`, read and written (the gRPC over HTTP/2 protocol, "Timeout")."""

from __future__ import annotations

import re
from typing import Final

#: The units in seconds.
UNITS: Final[dict[bytes, float]] = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

RULE: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")

#: The value has no more digits.
MOST: Final = 99_999_999

#: How many there are in a second, and the unit, from the most exact.
STEPS: Final = ((1_000_000_000.0, b"n"), (1_000_000.0, b"u"), (1_000.0, b"m"), (1.0, b"S"))


def read_timeout(value: bytes) -> float:
    """The seconds in a `grpc-timeout` field; below 0 where it is none, which is then as good as not there."""
    match = RULE.fullmatch(value)
    return -1.0 if match is None else int(match[1]) * UNITS[match[2]]


def write_timeout(seconds: float) -> bytes:
    """The field's value, as exact as eight digits allow, and never more than the seconds that are left."""
    seconds = max(seconds, 0.0)
    for scale, unit in STEPS:
        amount = int(seconds * scale)
        if amount <= MOST:
            return b"%d%s" % (amount, unit)
    return b"%dH" % min(int(seconds / 3600.0), MOST)
