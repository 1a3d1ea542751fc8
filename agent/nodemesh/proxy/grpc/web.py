"""gRPC-Web: what browsers speak, translated into gRPC and back (gRPC's PROTOCOL-WEB).

The messages are the same. Trailers come at the end of a response's body, in a frame of their own; the text variant has
the body in base64, of which each piece may have its own padding."""

from __future__ import annotations

import binascii
import re
from typing import Final

Pair = tuple[bytes, bytes]

CONTENT_TYPE: Final = re.compile(rb"application/grpc-web(-text)?(\+[\x21-\x3a\x3c-\x7e]+)?[ \t]*(?:;.*)?", re.DOTALL)

#: The flag of the frame that has the trailers, beside that for compression.
TRAILERS: Final = 0x80

#: What the upstream is told beside what the client said.
ASKED: Final[list[Pair]] = [(b"te", b"trailers"), (b"grpc-accept-encoding", b"identity")]

#: Fields of a request that are no more true, or that `ASKED` has.
REPLACED: Final = frozenset({b"content-length", b"content-type", b"te", b"grpc-accept-encoding"})

QUANTUM: Final = 4


class WebError(Exception):
    """The client's body is no base64."""


class WebCall:
    """The translation of one call."""

    __slots__ = ("text", "content_type", "_suffix", "_held")

    def __init__(self, text: bool, suffix: bytes) -> None:
        self.text = text
        self.content_type = b"application/grpc-web" + (b"-text" if text else b"") + (suffix or b"+proto")
        self._suffix = suffix
        self._held = b""  # characters of a quantum that is not complete

    def request_fields(self, fields: list[Pair]) -> list[Pair]:
        """A request's fields as gRPC has them."""
        kept = [pair for pair in fields if pair[0] not in REPLACED]
        return [(b"content-type", b"application/grpc" + self._suffix), *ASKED, *kept]

    def request_data(self, data: bytes, ended: bool) -> bytes:
        """Part of a request's body. Raises WebError."""
        return self._decode(data, ended) if self.text else data

    def response_fields(self, fields: list[Pair]) -> list[Pair]:
        """A response's fields as gRPC-Web has them; those of an answer that is not gRPC's stay as they are."""
        if not any(name == b"content-type" and value.startswith(b"application/grpc") for name, value in fields):
            return fields
        kept = [pair for pair in fields if pair[0] != b"content-type" and pair[0] != b"content-length"]
        return [(b"content-type", self.content_type), *kept]

    def response_data(self, data: bytes) -> bytes:
        """Part of a response's body."""
        return binascii.b2a_base64(data, newline=False) if self.text else data

    def response_trailers(self, trailers: list[Pair]) -> bytes:
        """The last part of a response's body: what gRPC has in trailers."""
        block = b"".join([name + b":" + value + b"\r\n" for name, value in trailers])
        return self.response_data(bytes((TRAILERS,)) + len(block).to_bytes(4, "big") + block)

    def _decode(self, data: bytes, ended: bool) -> bytes:
        """Base64 in pieces, cut anywhere: padding ends one of them."""
        if self._held:
            data = self._held + data
        whole = len(data) // QUANTUM * QUANTUM
        self._held = data[whole:]
        if ended and self._held:
            raise WebError("base64 that ends inside of four characters")
        found: list[bytes] = []
        start = 0
        while start < whole:
            padding = data.find(b"=", start, whole)
            end = whole if padding < 0 else padding // QUANTUM * QUANTUM + QUANTUM
            try:
                found.append(binascii.a2b_base64(data[start:end], strict_mode=True))
            except binascii.Error as error:
                raise WebError(f"not base64: {error}") from None
            start = end
        return b"".join(found)


def web_call(content_type: bytes) -> WebCall | None:
    """The translation for a request of this type, None where it is not gRPC-Web's."""
    match = CONTENT_TYPE.fullmatch(content_type)
    return None if match is None else WebCall(match[1] is not None, match[2] or b"")
