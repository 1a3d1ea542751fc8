"""Cutting heads out of a stream."""

import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http1.receive import MAX_EMPTY_LINES, MAX_HEAD, HeadBuffer

HEAD = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_a_head_in_pieces(size):
    buffer = HeadBuffer()
    *before, head = [buffer.cut(HEAD[start : start + size]) for start in range(0, len(HEAD), size)]
    assert head == HEAD[:-4] and not any(before)


def test_what_is_behind_a_head_comes_back():
    buffer = HeadBuffer()
    assert buffer.cut(b"\r\n\r\n" + HEAD + b"body") == HEAD[:-4], "empty lines before it are nothing"
    assert buffer.rest == b"body" and buffer.data == b""
    assert buffer.cut(HEAD) == HEAD[:-4] and buffer.rest == b""


@pytest.mark.parametrize("size", [1, 100])
def test_a_bare_lf_is_refused(size):
    buffer, data = HeadBuffer(), b"GET / HTTP/1.1\nHost: reviews\n\n"
    with pytest.raises(ProtocolError):
        for start in range(0, len(data), size):
            buffer.cut(data[start : start + size])


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"GET /" + b"a" * MAX_HEAD, 414), (b"GET / HTTP/1.1\r\nx: " + b"a" * MAX_HEAD, 431)],
)
def test_a_head_has_a_bound(data, status):
    with pytest.raises(ProtocolError) as caught:
        HeadBuffer().cut(data)
    assert caught.value.status == status


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_empty_lines_have_a_bound(size):
    def read(data: bytes) -> HeadBuffer:
        buffer = HeadBuffer()
        for start in range(0, len(data), size):
            buffer.cut(data[start : start + size])
        return buffer

    assert not read(b"\r\n" * MAX_EMPTY_LINES).data
    with pytest.raises(ProtocolError, match="empty lines"):
        read(b"\r\n" * (MAX_EMPTY_LINES + 1))


def test_each_head_has_its_own_empty_lines():
    buffer = HeadBuffer()
    for _ in range(3):
        assert buffer.cut(b"\r\n" * MAX_EMPTY_LINES + HEAD) == HEAD[:-4]
