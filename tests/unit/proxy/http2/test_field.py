"""What a field is to HTTP, worked out when it comes."""

from __future__ import annotations

import pytest

from nodemesh.proxy.http2.field import (
    AUTHORITY,
    CONTENT_LENGTH,
    COOKIE,
    DROPPED,
    HOST,
    MALFORMED,
    METHOD,
    PATH,
    PLAIN,
    PROTOCOL,
    SCHEME,
    SEEN,
    STATUS,
    TE,
    Field,
)


@pytest.mark.parametrize(
    "name, value, kind",
    [
        (b"x-a", b"b", PLAIN),
        (b"x_a", b"", PLAIN),
        (b"x", b"\x80\xff\tb", PLAIN),
        (b":method", b"GET", METHOD),
        (b":scheme", b"https", SCHEME),
        (b":authority", b"[::1]:80", AUTHORITY),
        (b":path", b"/a?b=c", PATH),
        (b":path", b"*", PATH),
        (b":protocol", b"websocket", PROTOCOL),
        (b":status", b"204", STATUS),
        (b"host", b"a", HOST),
        (b"cookie", b"a=b", COOKIE),
        (b"content-length", b"12", CONTENT_LENGTH),
        (b"te", b"trailers", TE),
        (b"http2-settings", b"AAMAAABk", DROPPED),
    ],
)
def test_kinds(name, value, kind):
    field = Field(name, value)
    assert (field.kind, field.pair) == (kind, (name, value))
    assert field.size == len(name) + len(value) + 32


@pytest.mark.parametrize(
    "name, value",
    [
        (b"", b"v"),
        (b"X-A", b"v"),
        (b"x a", b"v"),
        (b"x:", b"v"),
        (b":foo", b"v"),
        (b"x\n", b"v"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"\0"),
        (b"x", b"\x7f"),
        (b"connection", b"close"),
        (b"keep-alive", b"1"),
        (b"proxy-connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"te", b"gzip"),
        (b"te", b""),
        (b"content-length", b""),
        (b"content-length", b"-1"),
        (b"content-length", b"1,1"),
        (b"content-length", b"1" * 19),
        (b":method", b""),
        (b":method", b"G T"),
        (b":scheme", b"1"),
        (b":authority", b""),
        (b":authority", b"user@a"),
        (b":path", b""),
        (b":path", b"a"),
        (b":path", b"/ HTTP/1.1"),
        (b":status", b"20"),
        (b":status", b"099"),
        (b"host", b"a/b"),
    ],
)
def test_malformed(name, value):
    assert Field(name, value).kind == MALFORMED


def test_spaces_around_a_value_mean_nothing_but_count():
    field = Field(b"x", b" \ta b\t ")
    assert field.pair == (b"x", b"a b") and field.size == 1 + 7 + 32


def test_the_memory_of_names_is_bounded():
    for number in range(3 * SEEN.limit):
        Field(b"x-%d" % number, b"")
        assert len(SEEN.found) <= SEEN.limit
    Field(b"y" * 65, b"")
    assert b"y" * 65 not in SEEN.found
    assert Field(b"connection", b"close").kind == MALFORMED and Field(b"te", b"trailers").kind == TE
