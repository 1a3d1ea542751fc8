"""Settings: what a peer announces about itself (RFC 9113 section 6.5, RFC 8441)."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from .codes import FLOW_CONTROL_ERROR, PROTOCOL_ERROR
from .fault import ConnectionFault
from .frames import MAX_31, MAX_FRAME

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8
NO_RFC7540_PRIORITIES: Final = 9

UNLIMITED: Final = 0xFFFFFFFF

DEFAULT_WINDOW: Final = 65535
DEFAULT_TABLE: Final = 4096


class Settings:
    """One side's settings, as RFC 9113 has them until it says otherwise."""

    __slots__ = ("table", "streams", "window", "frame", "head", "connect")

    def __init__(self) -> None:
        self.table = DEFAULT_TABLE
        self.streams = UNLIMITED
        self.window = DEFAULT_WINDOW
        self.frame = MAX_FRAME
        self.head = UNLIMITED
        self.connect = False  # extended CONNECT

    def take(self, key: int, value: int, from_server: bool) -> None:
        """One setting of a peer; those that nobody knows are ignored. Raises ConnectionFault."""
        if key == HEADER_TABLE_SIZE:
            self.table = value
        elif key == ENABLE_PUSH:
            if value > 1 or (from_server and value):
                raise wrong(f"ENABLE_PUSH {value}")
        elif key == MAX_CONCURRENT_STREAMS:
            self.streams = value
        elif key == INITIAL_WINDOW_SIZE:
            if value > MAX_31:
                text = f"INITIAL_WINDOW_SIZE {value}"
                raise ConnectionFault(FLOW_CONTROL_ERROR, Reason.HTTP2_FLOW_CONTROL, text)
            self.window = value
        elif key == MAX_FRAME_SIZE:
            if not MAX_FRAME <= value < 1 << 24:
                raise wrong(f"MAX_FRAME_SIZE {value}")
            self.frame = value
        elif key == MAX_HEADER_LIST_SIZE:
            self.head = value
        elif key == ENABLE_CONNECT_PROTOCOL:
            if value > 1 or (self.connect and not value):  # RFC 8441 section 3
                raise wrong(f"ENABLE_CONNECT_PROTOCOL {value}")
            self.connect = value == 1


def wrong(text: str) -> ConnectionFault:
    return ConnectionFault(PROTOCOL_ERROR, Reason.HTTP2_PROTOCOL_ERROR, text)
