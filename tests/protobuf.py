"""Protobuf's encoding by hand, for tests that speak it without a library."""

from __future__ import annotations


def number(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes((value % 128 + 128,))
        value //= 128
    return found + bytes((value,))


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Fields in this order; a number is a varint, bytes are bytes."""
    found = b""
    for place, value in fields:
        if isinstance(value, int):
            found += number(place * 8) + number(value)
        else:
            found += number(place * 8 + 2) + number(len(value)) + value
    return found


def header(name: bytes, value: bytes, *, raw: bool = False, append: bool | None = None) -> bytes:
    """Envoy's HeaderValueOption."""
    option = message((1, message((1, name), (3 if raw else 2, value))))
    return option if append is None else option + message((2, message((1, int(append)))))


def grpc(data: bytes) -> bytes:
    """The one message of a body."""
    return b"\0" + len(data).to_bytes(4, "big") + data
