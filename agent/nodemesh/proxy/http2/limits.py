"""How much a peer may ask of us on one connection: what we announce, and what we only hold to."""

from __future__ import annotations

from .frames import MAX_FRAME
from .settings import (
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
)


class Http2Limits:
    """One side's limits. A connection holds at most `connection_window` bytes of bodies that nobody has taken,
    `block` bytes of a field section that is not complete, one frame, and `streams` streams."""

    __slots__ = (
        "streams", "window", "connection_window", "head", "fields", "block", "continuations", "block_time", "connect",
        "informed", "control", "settings",
    )  # fmt: skip

    def __init__(
        self,
        streams: int = 1024,
        window: int = 256 * 1024,
        connection_window: int = 1024 * 1024,
        head: int = 60 * 1024,
        fields: int = 100,
        connect: bool = True,
    ) -> None:
        self.streams = streams  # that the peer may have open
        self.window = window  # bytes of a stream's body
        self.connection_window = connection_window
        self.head = head  # bytes of a field section, decoded, as RFC 9113 section 6.5.2 counts them
        self.fields = fields  # of a section, pseudo fields and cookies' crumbs among them
        self.block = 6 * MAX_FRAME  # bytes of a field section as it comes, so that more than `head` can be answered
        self.continuations = 8
        self.block_time = 10.0  # seconds for a field section's frames to come
        self.connect = connect  # extended CONNECT is served
        self.informed = 16  # interim responses to one request
        self.control = 1000  # answers (ACK, RST_STREAM) that the peer has not read
        self.settings = 32  # entries of one SETTINGS frame

    def announced(self, server: bool) -> list[tuple[int, int]]:
        """What the peer is told. Of streams a server's peer alone opens any."""
        values = [
            (INITIAL_WINDOW_SIZE, self.window),
            (MAX_HEADER_LIST_SIZE, self.head),
            (NO_RFC7540_PRIORITIES, 1),
        ]
        if not server:
            return [(ENABLE_PUSH, 0), *values]
        values.insert(0, (MAX_CONCURRENT_STREAMS, self.streams))
        if self.connect:
            values.append((ENABLE_CONNECT_PROTOCOL, 1))
        return values
