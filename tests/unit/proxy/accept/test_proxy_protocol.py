"""PROXY protocol's headers."""

import pytest

from nodemesh.proxy.accept.proxy_protocol import MAX_LENGTH, MAX_LINE, HeaderError, read_header
from nodemesh.proxy.preamble import SIGNATURE


def binary(command: int, family: int, said: bytes) -> bytes:
    return SIGNATURE + bytes((0x20 | command, family)) + len(said).to_bytes(2, "big") + said


FOUR = bytes((203, 0, 113, 9, 10, 0, 0, 1)) + (4000).to_bytes(2, "big") + (80).to_bytes(2, "big")
SIX = bytes.fromhex("20010db8" + "0" * 23 + "1") + bytes(16) + (4000).to_bytes(2, "big") + (80).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (b"PROXY TCP4 203.0.113.9 10.0.0.1 4000 80\r\n", "203.0.113.9:4000"),
        (b"PROXY TCP6 2001:db8::1 ::1 4000 80\r\n", "[2001:db8::1]:4000"),
        (b"PROXY UNKNOWN\r\n", ""),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
        (binary(1, 0x11, FOUR), "203.0.113.9:4000"),
        (binary(1, 0x11, FOUR + b"\x04\x00\x01x"), "203.0.113.9:4000"),
        (binary(1, 0x21, SIX), "[2001:db8::1]:4000"),
        (binary(0, 0x00, b""), ""),
    ],
)
def test_whom_a_header_names(header, named):
    for size in range(1, len(header)):
        assert read_header(header[:size]) is None
    assert read_header(header + b"GET /") == (len(header), named)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4000\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 70000 80\r\n",
        b"PROXY " + b"x" * MAX_LINE,
        binary(1, 0x11, FOUR[:8]),
        binary(2, 0x11, FOUR),
        binary(1, 0x11, bytes(MAX_LENGTH + 1)),
    ],
)
def test_what_is_no_header(data):
    with pytest.raises(HeaderError):
        read_header(data)
