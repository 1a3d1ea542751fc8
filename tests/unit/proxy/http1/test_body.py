"""The framings of bodies, piece by piece."""

import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.lines import MAX_FIELDS
from nodemesh.proxy.http1.body import (
    FRAMED_READ,
    MAX_SIZE_LINE,
    MAX_TRAILERS,
    SIZES,
    ChunkedReader,
    CloseReader,
    LengthReader,
)
from nodemesh.proxy.transport import READ_SIZE


def read_all(reader, data: bytes, size: int) -> bytes:
    """Everything, `size` bytes at a time, until the body is done."""
    out = b""
    for start in range(0, len(data), size):
        out += bytes(reader.read(data[start : start + size]))
        if reader.done:
            reader.rest += data[start + size :]
            break
    return out


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_length(size):
    reader = LengthReader(5)
    assert read_all(reader, b"helloGET /", size) == b"hello"
    assert reader.done and reader.rest == b"GET /" and reader.end()
    assert LengthReader(0).done


def test_a_length_that_is_cut_short():
    reader = LengthReader(5)
    assert reader.read(memoryview(b"hel")) == b"hel" and not reader.done and not reader.end()


def test_until_the_end():
    reader = CloseReader()
    assert reader.read(b"hello") == b"hello" and not reader.done
    assert reader.end() and reader.done


CHUNKED = b"5;name=value\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nx-sum: 1\r\n\r\nGET /"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_chunks(size):
    reader = ChunkedReader()
    assert read_all(reader, CHUNKED, size) == b"hello world"
    assert reader.done and reader.rest == b"GET /" and reader.trailers == [b"x-sum: 1"]


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"5 5\r\n",
        b"\r\n",
        b"5\nhello",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello\n",
        b"1" * 16 + b"\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"5;" + b"x" * MAX_SIZE_LINE + b"\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_breaks_the_framing_is_refused(data, size):
    with pytest.raises(ProtocolError):
        read_all(ChunkedReader(), data, size)


def test_trailers_have_a_bound():
    with pytest.raises(ProtocolError) as caught:
        read_all(ChunkedReader(), b"0\r\n" + b"x: 12345678\r\n" * (MAX_TRAILERS // 10), 1000)
    assert caught.value.status == 431


def test_trailers_that_may_be_none_are_dropped_and_count_all_the_same():
    reader = ChunkedReader()
    reader.read(b"0\r\nContent-Length: 5\r\nx-sum: 1\r\nAuthorization: me\r\nHost: b\r\n\r\n")
    assert reader.done and reader.trailers == [b"x-sum: 1"]
    reader = ChunkedReader()
    with pytest.raises(ProtocolError):
        reader.read(b"0\r\n" + b"host: b\r\n" * (MAX_TRAILERS // 7 + 1))


def test_trailers_are_counted():
    lines = b"".join(b"a%d:\r\n" % number for number in range(MAX_FIELDS))
    reader = ChunkedReader()
    reader.read(b"0\r\n" + lines + b"\r\n")
    assert reader.done and len(reader.trailers) == MAX_FIELDS
    with pytest.raises(ProtocolError) as caught:
        ChunkedReader().read(b"0\r\n" + lines + b"a:\r\n\r\n")
    assert caught.value.status == 431


def test_small_chunks_are_read_in_small_portions():
    reader = ChunkedReader()
    reader.read(b"1\r\nx\r\n" * 100)
    assert reader.appetite == FRAMED_READ
    reader.read(b"1000\r\nx")
    assert reader.appetite == FRAMED_READ + 0xFFF
    reader.read(b"x" * 0xFFF + b"\r\n100000\r\n")
    assert reader.appetite == READ_SIZE == LengthReader(1).appetite == CloseReader().appetite


def test_what_was_read_of_sizes_is_bounded():
    reader = ChunkedReader()
    for number in range(1, 3 * SIZES.limit):
        reader.read(b"%x\r\n" % number + b"x" * number + b"\r\n")
        assert len(SIZES.found) <= SIZES.limit
