"""HPACK's Huffman code, compared with the tables and the encoder of python-hyper's hpack."""

from __future__ import annotations

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.http2.huffman import LENGTHS, decode

encoder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def test_the_lengths_are_the_rfcs():
    assert list(LENGTHS) == REQUEST_CODES_LENGTH


@pytest.mark.parametrize("symbol", range(256))
def test_each_symbol(symbol):
    for text in (bytes((symbol,)), bytes((symbol,)) * 9, b"a" + bytes((symbol,)) + b"0"):
        assert decode(encoder.encode(text)) == text


@given(st.binary(max_size=200))
def test_what_hpack_writes_is_read(text):
    assert decode(encoder.encode(text)) == text


@given(st.binary(max_size=40))
def test_what_is_read_is_what_hpack_would_write(data):
    """There is one code of each string: what is not it, down to the padding, is no string."""
    text = decode(data)
    assert text is None or encoder.encode(text) == data


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",  # eight bits of padding
        b"\x1f\xff",  # the same behind an `a`
        b"\x18",  # `a`, and zeros
        b"\xff\xff\xff\xfc",  # EOS
        b"\xff\xff\xff\xff" + b"\x1f",  # EOS inside
    ],
)
def test_what_is_no_string(data):
    assert decode(data) is None


def test_nothing_is_the_empty_string():
    assert decode(b"") == b""
