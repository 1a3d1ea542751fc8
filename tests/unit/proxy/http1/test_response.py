"""Response heads: how long the body is, in the order of RFC 9112 section 6.3, and what is kept for the client."""

import pytest

from nodemesh.proxy.head import UNKNOWN
from nodemesh.proxy.http1.errors import ProtocolError
from nodemesh.proxy.http1.response import read_response


def read(text: bytes, method: bytes = b"GET"):
    return read_response(text.replace(b"\n", b"\r\n"), method)


@pytest.mark.parametrize(
    ("text", "method", "length", "until_close"),
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 5", b"HEAD", 0, False),
        (b"HTTP/1.1 204 No Content\nContent-Length: 5", b"GET", 0, False),
        (b"HTTP/1.1 304 Not Modified\nContent-Length: 5", b"GET", 0, False),
        (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"GET", UNKNOWN, False),
        (b"HTTP/1.1 200 OK\nContent-Length: 5", b"GET", 5, False),
        (b"HTTP/1.1 200\nConnection: keep-alive", b"GET", UNKNOWN, True),
    ],
)
def test_lengths(text, method, length, until_close):
    head = read(text, method)
    assert (head.length, head.until_close) == (length, until_close)


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 099 Odd",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6",
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked, gzip",
        b"HTTP/1.1 200 OK\n folded",
    ],
)
def test_breaches(text):
    with pytest.raises(ProtocolError):
        read(text)


def test_what_is_ours_and_what_is_for_this_hop_is_left_out():
    head = read(
        b"HTTP/1.1 200 OK\nServer: nginx\nDate: then\nConnection: close, x-hop\nX-Hop: 1\nKeep-Alive: 1\n"
        b"X-Envoy-Upstream-Service-Time: 9\nSet-Cookie: a\nSet-Cookie: b\nContent-Length: 0"
    )
    assert head.lines == [b"Set-Cookie: a", b"Set-Cookie: b"]
    assert head.date == b"Date: then" and head.close


def test_a_grpc_status_in_the_head_is_seen():
    assert read(b"HTTP/1.1 200 OK\ngrpc-status: 14\nContent-Length: 0").grpc_status == 14


def test_the_same_head_is_understood_once_and_never_mixed_up():
    text = b"HTTP/1.1 200 OK\nX-Pod: reviews-v1\nContent-Length: 5"
    first = read(text)
    first.lines.append(b"x-added: 1")
    assert read(text).lines == [b"X-Pod: reviews-v1"]
    assert (read(text).length, read(text, b"HEAD").length, read(text).length) == (5, 0, 5)
