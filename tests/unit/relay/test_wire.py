import zlib

import pytest

from nodemesh.relay.wire import CLOSING, OPENING, chunk, deflated, ending, event, opening, piece


def test_any_pieces_in_any_order_are_one_stream_of_raw_deflate():
    pieces = [deflated(b"one\n" * 100), deflated(b"two\n"), deflated(b"\x00\xff" * 70_000)]
    for order in (pieces, pieces[::-1], pieces * 3):
        reader = zlib.decompressobj(-zlib.MAX_WBITS)
        found = reader.decompress(OPENING + b"".join(order) + CLOSING)
        assert reader.eof
        assert found == b"".join(zlib.decompressobj(-zlib.MAX_WBITS).decompress(one) for one in order)


def test_clients_tell_raw_deflate_from_zlibs_wrapper_by_the_first_byte():
    assert OPENING[0] & 0x0F != 8  # RFC 1950 section 2.2: CM


@pytest.mark.parametrize("deflate", [True, False])
def test_a_stream_is_chunks_all_the_way(deflate):
    stream = opening(deflate) + piece(event("ADDED", b"{}")).of(deflate) + ending(deflate)
    body = b""
    while stream:
        size, _, stream = stream.partition(b"\r\n")
        data, stream = stream[: int(size, 16)], stream[int(size, 16) :]
        assert stream.startswith(b"\r\n")
        body, stream = body + data, stream[2:]
    found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body) if deflate else body
    assert found == b'{"type":"ADDED","object":{}}\n'
    assert chunk(b"a" * 26) == b"1a\r\n" + b"a" * 26 + b"\r\n"
