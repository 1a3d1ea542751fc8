"""Response heads: how long the body is, in the order of RFC 9112 section 6.3, and what is kept for the client."""

import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.head import UNKNOWN
from nodemesh.proxy.http.lines import KNOWN_HEADS
from nodemesh.proxy.http1.response import GISTS, KNOWN, LAYOUTS, read_response


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
    assert head.lines == [b"Date: then", b"Set-Cookie: a", b"Set-Cookie: b"]
    assert head.names == {b"date", b"set-cookie"} and head.close


def test_a_grpc_status_in_the_head_is_seen():
    assert read(b"HTTP/1.1 200 OK\ngrpc-status: 14\nContent-Length: 0").grpc_status == 14


def test_a_length_that_is_only_told_is_a_field():
    head = read(b"HTTP/1.1 304 Not Modified\nContent-Length: 5")
    assert head.lines == [b"content-length: 5"] and head.names == {b"content-length"}


def test_the_same_head_is_understood_once_and_never_mixed_up():
    text = b"HTTP/1.1 200 OK\nX-Pod: reviews-v1\nContent-Length: 5"
    read(text)
    assert read(text) is read(text)
    assert (read(text).length, read(text, b"HEAD").length, read(text).length) == (5, 0, 5)


def test_heads_that_differ_in_one_field_share_what_they_say_to_us():
    """The second has a field that was never seen, the others say the opposite of it in one word each."""
    heads = [
        read(b"HTTP/1.1 %b\nX-Request-Id: %d\nContent-Length: %d\nConnection: %b" % (status, number, length, option))
        for number, (status, length, option) in enumerate(
            [
                (b"200 OK", 5, b"keep-alive"),
                (b"200 OK", 5, b"keep-alive"),
                (b"200 OK", 6, b"keep-alive"),
                (b"200 OK", 5, b"close"),
                (b"204 None", 5, b"keep-alive"),
            ]
        )
    ]
    assert [head.lines for head in heads] == [[b"X-Request-Id: %d" % number] for number in range(5)]
    assert [(head.status, head.length, head.close) for head in heads] == [
        (200, 5, False),
        (200, 5, False),
        (200, 6, False),
        (200, 5, True),
        (204, 0, False),
    ]


def test_what_is_kept_has_a_bound():
    for number in range(KNOWN_HEADS + 2):
        for _ in range(2):
            read(b"HTTP/1.1 200 OK\nContent-Length: %d\nX-%d: 1" % (number, number))
        assert max(len(KNOWN.found), len(GISTS.found), len(LAYOUTS.known.found)) <= KNOWN_HEADS
    long = len(KNOWN.found), len(GISTS.found), len(LAYOUTS.known.found)
    for _ in range(2):
        read(b"HTTP/1.1 200 OK\nContent-Length: 1\nUpgrade: %b\n%b: 1" % (b"u" * 3000, b"x" * 3000))
    assert (len(KNOWN.found), len(GISTS.found), len(LAYOUTS.known.found)) == long
