"""A client's deadline: the field `grpc-timeout` (the gRPC over HTTP/2 protocol, "Timeout")."""

from __future__ import annotations

from typing import Final

#: The units in seconds.
UNITS: Final[dict[bytes, float]] = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

MAX_DIGITS: Final = 8


def read_timeout(value: bytes) -> float:
    """The seconds in a `grpc-timeout` field; below 0 where it is none, which is then as good as not there."""
    digits, unit = value[:-1], UNITS.get(value[-1:])
    return int(digits) * unit if unit is not None and digits.isdigit() and len(digits) <= MAX_DIGITS else -1.0
