"""Counting the messages within a gRPC body, by the five bytes before each (the gRPC over HTTP/2 protocol)."""

from __future__ import annotations

from struct import Struct
from typing import Final

#: A flag for compression, and the length in four bytes.
PREFIX: Final = 5
unpack_length: Final = Struct(">xI").unpack_from


def is_whole(data: bytes | memoryview) -> bool:
    """Whether a piece of a body is one message, if it begins with one."""
    size = len(data)
    return size >= PREFIX and size == PREFIX + unpack_length(data)[0]


class MessageCounter:
    """One direction of a call. Nothing is kept but what of a prefix has come."""

    __slots__ = ("count", "_prefix", "_have", "_rest")

    def __init__(self) -> None:
        self.count = 0  # messages that have begun: their prefix has come
        self._prefix = 0  # the bytes of a prefix that have come, as a number
        self._have = 0  # how many
        self._rest = 0  # bytes of the present message that are to come

    def read(self, data: bytes | memoryview) -> None:
        """More of the body, cut anywhere."""
        position = 0
        size = len(data)
        if size >= PREFIX and not self._rest and not self._have:
            position = PREFIX + int.from_bytes(data[1:PREFIX], "big")
            self.count += 1
            if position >= size:  # a whole message, as most pieces are, or the beginning of one
                self._rest = position - size
                return
        while position < size:
            if self._rest:
                step = min(self._rest, size - position)
                self._rest -= step
                position += step
                continue
            if not self._have and size - position >= PREFIX:
                self.count += 1
                length = int.from_bytes(data[position + 1 : position + PREFIX], "big")
                position += PREFIX + length
                if position > size:
                    self._rest = position - size
                continue
            self._prefix = self._prefix << 8 | data[position]
            self._have += 1
            position += 1
            if self._have == PREFIX:
                self.count += 1
                self._rest = self._prefix & 0xFFFFFFFF
                self._prefix = 0
                self._have = 0

    @property
    def between(self) -> bool:
        """No message is cut: a body may end here."""
        return not self._rest and not self._have
