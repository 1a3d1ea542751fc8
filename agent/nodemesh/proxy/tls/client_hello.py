"""The server name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3), which is not encrypted."""

from __future__ import annotations

import re
from typing import Final

#: A ClientHello that is larger, with the heads of its records, is not looked into: OpenSSL's own limit is near.
MAX_HELLO: Final = 5 + 16 * 1024

#: Records for one ClientHello: a client that splits it has two or three, one that has more wants to keep us busy.
MAX_RECORDS: Final = 16

#: A TLS record of type handshake, version 3.x.
HANDSHAKE: Final = b"\x16\x03"

CLIENT_HELLO: Final = 1
SERVER_NAME: Final = 0
HOST_NAME: Final = 0

#: A host's name in the DNS (RFC 6066 section 3), with the underscores that Istio's own names have: it goes into logs,
#: fields and tables, where nothing else may stand.
NAME: Final = re.compile(rb"[0-9A-Za-z._-]{1,255}")


class ByteReader:
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
    """The name in lower case; empty where there is none, None while the message is not complete."""
    try:
        message = handshake(data)
        if message is None:
            return None
        hello = ByteReader(message)
        hello.take(2 + 32)  # legacy_version, random
        hello.vector(1)  # legacy_session_id
        hello.vector(2)  # cipher_suites
        hello.vector(1)  # legacy_compression_methods
        extensions = ByteReader(hello.vector(2))
        while extensions.position < len(extensions.data):
            kind = extensions.number(2)
            body = extensions.vector(2)
            if kind == SERVER_NAME:
                names = ByteReader(ByteReader(body).vector(2))
                if names.number(1) == HOST_NAME:
                    name = names.vector(2)
                    return name.decode("ascii").lower() if NAME.fullmatch(name) else ""
    except IndexError:
        return ""
    return ""


def handshake(data: bytes) -> bytes | None:
    """The body of the ClientHello, which may come in several records; None while it is not complete. IndexError where
    it is something else."""
    message = b""
    position = 0
    for _ in range(MAX_RECORDS):
        if len(data) < position + 5:
            return None
        if not data.startswith(HANDSHAKE, position):
            raise IndexError("a record of another type")
        end = position + 5 + int.from_bytes(data[position + 3 : position + 5], "big")
        message += data[position + 5 : end]
        if message and message[0] != CLIENT_HELLO:
            raise IndexError("another message")
        if len(message) >= 4:
            size = 4 + int.from_bytes(message[1:4], "big")
            if len(message) >= size:
                return message[4:size]
        if len(data) < end:
            return None
        position = end
    raise IndexError("too many records")
