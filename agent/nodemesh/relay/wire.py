"""Events as bytes on a connection, made once for everybody: pieces of raw DEFLATE that stand alone, in HTTP chunks.

A stream of such pieces is one stream of `Content-Encoding: deflate`, whichever pieces it has: none refers to what came
before (RFC 1951; Z_FULL_FLUSH ends each at a byte). It has no checksum over the whole, which would be another one for
each client; a zlib wrapper is not there, and clients know that by the first byte (0, an empty stored block)."""

from __future__ import annotations

import zlib
from typing import NamedTuple

LEVEL = 6

#: An empty stored block, which opens a stream, and an empty last block, which ends one.
OPENING = b"\x00\x00\x00\xff\xff"
CLOSING = b"\x03\x00"


class Piece(NamedTuple):
    """Some lines, as chunks of a plain and of a compressed stream."""

    plain: bytes
    deflated: bytes

    def of(self, deflate: bool) -> bytes:
        return self.deflated if deflate else self.plain


def piece(data: bytes) -> Piece:
    """`data` is not empty."""
    return Piece(chunk(data), chunk(deflated(data)))


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def opening(deflate: bool) -> bytes:
    return chunk(OPENING) if deflate else b""


def ending(deflate: bool) -> bytes:
    """What stands before the last chunk."""
    return chunk(CLOSING) if deflate else b""


def event(kind: str, encoded: bytes) -> bytes:
    """One line of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), encoded)
