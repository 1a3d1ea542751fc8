"""The line that tells a client how long the upstream took (Envoy's x-envoy-upstream-service-time)."""

from __future__ import annotations

from typing import Final

SERVICE_TIME: Final = b"x-envoy-upstream-service-time"


def write_line(milliseconds: int) -> bytes:
    return b"%b: %d" % (SERVICE_TIME, milliseconds)


#: The lines for as many milliseconds as most answers take.
LINES: Final = [write_line(milliseconds) for milliseconds in range(1024)]
