"""A client's deadline: the field `grpc-timeout` (the gRPC over HTTP/2 protocol, "Timeout")."""

from __future__ import annotations

import re
from typing import Final

#: The units in seconds.
UNITS: Final[dict[bytes, float]] = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

RULE: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")


def read_timeout(value: bytes) -> float:
    """The seconds in a `grpc-timeout` field; below 0 where it is none, which is then as good as not there."""
    match = RULE.fullmatch(value)
    return -1.0 if match is None else int(match[1]) * UNITS[match[2]]
