"""The line that tells a client how long the upstream took (Envoy's x-envoy-upstream-service-time)."""

from __future__ import annotations

from typing import Final

SERVICE_TIME: Final = b"x-envoy-upstream-service-time"

#: Its lines, for as many milliseconds as most answers take.
LINES: Final = [b"x-envoy-upstream-service-time: %d" % milliseconds for milliseconds in range(1024)]


def longer_line(milliseconds: int) -> bytes:
    """The line for more milliseconds than `LINES` has."""
    return b"x-envoy-upstream-service-time: %d" % milliseconds
