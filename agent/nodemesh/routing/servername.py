"""Server names that name a cluster: what Istio's clients ask an AUTO_PASSTHROUGH server for."""

from __future__ import annotations

from typing import Final, NamedTuple

DIRECTION: Final = "outbound"


class ClusterServerName(NamedTuple):
    """`outbound_.PORT_.SUBSET_.HOST`; the subset may be empty."""

    port: int
    subset: str
    host: str

    def __str__(self) -> str:
        return f"{DIRECTION}_.{self.port}_.{self.subset}_.{self.host}"


def parse(name: str) -> ClusterServerName | None:
    """None for every other name."""
    direction, *rest = name.split("_.", 3)
    if direction != DIRECTION or len(rest) != 3:
        return None
    port, subset, host = rest
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and host):
        return None
    return ClusterServerName(int(port), subset, host)
