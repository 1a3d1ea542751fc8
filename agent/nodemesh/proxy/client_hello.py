"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), which is not encrypted."""

from __future__ import annotations

from typing import Final

#: A ClientHello in one record is not larger than this; in several it is not looked into.
MAX_HELLO: Final = 5 + 16 * 1024

#: A TLS record of type handshake, version 3.x.
HANDSHAKE: Final = b"\x16\x03"

CLIENT_HELLO: Final = 1
SERVER_NAME: Final = 0
HOST_NAME: Final = 0


class Reader:
    """Takes fields off a byte string; IndexError where it is too short."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise IndexError("the ClientHello is shorter than it says")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def vector(self, length_size: int) -> bytes:
        """Bytes behind their length."""
        return self.take(self.number(length_size))


def server_name(data: bytes) -> str | None:
    """The name in lower case; empty where there is none, None while the record is not complete."""
    if len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
        return None
    try:
        record = Reader(data[5 : 5 + int.from_bytes(data[3:5], "big")])
        if record.number(1) != CLIENT_HELLO:
            return ""
        hello = Reader(record.vector(3))
        hello.take(2 + 32)  # legacy_version, random
        hello.vector(1)  # legacy_session_id
        hello.vector(2)  # cipher_suites
        hello.vector(1)  # legacy_compression_methods
        extensions = Reader(hello.vector(2))
        while extensions.position < len(extensions.data):
            kind = extensions.number(2)
            body = extensions.vector(2)
            if kind == SERVER_NAME:
                names = Reader(Reader(body).vector(2))
                if names.number(1) == HOST_NAME:
                    return names.vector(2).decode("ascii").lower()
    except (IndexError, UnicodeDecodeError):
        return ""
    return ""
