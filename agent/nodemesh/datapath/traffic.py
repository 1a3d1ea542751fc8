"""What connections in kernel mode have done: counted by sockops, taken by control for metrics and graph."""

from __future__ import annotations

from typing import NamedTuple

from .maps import TRAFFIC, TRAFFIC_KEY, Maps, unpack_address


class Path(NamedTuple):
    """Who dialled what, and where it went: the namespace's cookie, and (address, port) pairs."""

    netns: int
    dialled: tuple[str, int]
    backend: tuple[str, int]


class Traffic(NamedTuple):
    """Sums. Bytes, `duration` (seconds) and `rtt` (seconds, the sum of smoothed ones) are those of closed connections;
    `failed` ones were never established."""

    opened: int
    failed: int
    closed: int
    sent: int
    received: int
    duration: float
    rtt: float


def take(maps: Maps) -> dict[Path, Traffic]:
    """What has happened since the last call. Entries are taken in one step each, so that nothing is lost or counted
    twice; a connection opened before and closed after is `opened` in one call and `closed` in another."""
    taken: dict[Path, Traffic] = {}
    for raw in list(maps["traffic"].keys()):
        try:
            value = maps["traffic"].take(raw)
        except FileNotFoundError:  # a key that the walk met twice, or that the LRU let go
            continue
        netns, dialled, backend, dialled_port, backend_port = TRAFFIC_KEY.unpack(raw)
        path = Path(
            netns,
            (unpack_address(dialled), int.from_bytes(dialled_port, "big")),
            (unpack_address(backend), int.from_bytes(backend_port, "big")),
        )
        opened, failed, closed, sent, received, nanoseconds, microseconds = TRAFFIC.unpack(value)
        # TCP counts our SYN and either FIN as a byte each, what its peer's SYN was it does not. Nor does it count a FIN
        # that comes once our app has closed: `received` has a byte less for such a connection.
        sent, received = max(0, sent - 2 * closed), max(0, received - closed)
        taken[path] = Traffic(opened, failed, closed, sent, received, nanoseconds / 1e9, microseconds / 1e6)
    return taken
