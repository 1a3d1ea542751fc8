"""Request heads: targets, hosts, framing, hop-by-hop fields, and the status for each breach."""

import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.head import UNKNOWN
from nodemesh.proxy.http.lines import KNOWN_HEADS
from nodemesh.proxy.http1.receive import MAX_HEAD, HeadBuffer
from nodemesh.proxy.http1.request import KNOWN, LAYOUTS, QUERIED, TARGETS, LastRequest, read_request


def read(text: bytes):
    return read_request(text.replace(b"\n", b"\r\n"), b"http")


def status(text: bytes) -> int:
    with pytest.raises(ProtocolError) as caught:
        read(text)
    return caught.value.status


@pytest.mark.parametrize(
    ("target", "authority", "path", "query"),
    [
        (b"/a?b=c?d", b"h:80", b"/a", b"b=c?d"),
        (b"/a/../b/./c", b"h:80", b"/b/c", b""),
        (b"http://other:81/x?y", b"other:81", b"/x", b"y"),
        (b"http://other", b"other", b"/", b""),
        (b"/a#frag", b"h:80", b"/a", b""),
    ],
)
def test_targets(target, authority, path, query):
    request = read(b"GET " + target + b" HTTP/1.1\nHost: h:80")
    assert (request.authority, request.path, request.query) == (authority, path, query)


def test_what_stands_before_a_query_is_read_once():
    target = b"GET /a/./once?%b HTTP/1.1\nHost: h:80"
    assert read(target % b"first").path == b"/a/once"
    assert b"GET /a/./once" in QUERIED.found and b"GET /a/./once?first HTTP/1.1" not in TARGETS.found
    for query, said in ((b"b=c?d", b"b=c?d"), (b"b#frag", b"b"), (b"", b""), (b"\xff", b"\xff")):
        request = read(target % query)
        assert (request.method, request.authority, request.path, request.query) == (b"GET", b"h:80", b"/a/once", said)
    for malformed in (b"b c", b"b\x01", b"b\x7f", b" ", b"x HTTP/1.1"):
        assert status(target % malformed) == 400
    assert status(b"GET /a/./once?x HTTP/2.0\nHost: h:80") == 505
    assert status(b"GET /a/./once\nHost: h:80") == 400


def test_a_question_mark_in_a_fragment_begins_no_query():
    for _ in range(2):
        request = read(b"GET /a#b?c HTTP/1.1\nHost: h:80")
        assert (request.path, request.query) == (b"/a", b"")


def test_the_asterisk_is_for_options():
    assert read(b"OPTIONS * HTTP/1.1\nHost: h").path == b"*"
    assert status(b"GET * HTTP/1.1\nHost: h") == 400


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\nHost: a\nHost: a", 400),
        (b"GET / HTTP/1.1\nHost: a b", 400),
        (b"GET /\xff /x HTTP/1.1\nHost: a", 400),
        (b"GET  / HTTP/1.1\nHost: a", 400),
        (b"GET / HTTP/2.0\nHost: a", 505),
        (b"CONNECT a:443 HTTP/1.1\nHost: a", 403),
        (b"POST / HTTP/1.1\nHost: a\nContent-Length: 9999999999999999999", 413),
        (b"POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked", 501),
        (b"POST / HTTP/1.0\nHost: a\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\nHost: a\nExpect: miracles", 417),
        (b"GET / HTTP/1.1\nHost: a" + b"\nx: y" * 100, 431),
    ],
)
def test_breaches(text, answer):
    assert status(text) == answer


def test_bodies():
    assert read(b"GET / HTTP/1.1\nHost: a").fields.length == 0
    assert read(b"PUT / HTTP/1.1\nHost: a\nContent-Length: 12").fields.length == 12
    assert read(b"PUT / HTTP/1.1\nHost: a\nTransfer-Encoding: Chunked").fields.length == UNKNOWN


def test_only_end_to_end_fields_are_forwarded_and_as_they_came():
    head = read(
        b"GET / HTTP/1.1\nHost: a\nConnection: X-Hop, keep-alive\nX-Hop: 1\nKeep-Alive: 5\nTE: trailers\n"
        b"Proxy-Connection: x\nX-Envoy-Attempt-Count: 7\nX-Envoy-Retry-On: 5xx\nX-Kept:  As It Came "
    )
    fields = head.fields
    assert fields.lines == [b"X-Kept:  As It Came "] and fields.names == {b"x-kept"}
    assert fields.trailers and head.controlled and not fields.close
    assert head.headers == {b"x-kept": b"As It Came", b"x-envoy-retry-on": b"5xx", b"te": b"trailers"}


def test_several_values_are_joined_for_matching():
    head = read(b"GET / HTTP/1.1\nHost: a\nX: 1\nx: 2")
    assert head.headers == {b"x": b"1,2"} and head.fields.lines == [b"X: 1", b"x: 2"]


def test_http_1_0_closes_unless_asked_not_to():
    assert read(b"GET / HTTP/1.0\nHost: a").fields.close
    assert not read(b"GET / HTTP/1.0\nConnection: keep-alive").fields.close


@pytest.mark.parametrize(
    ("data", "answer"), [(b"GET /" + b"x" * MAX_HEAD, 414), (b"GET / HTTP/1.1\r\nx: " + b"x" * MAX_HEAD, 431)]
)
def test_heads_have_a_bound(data, answer):
    with pytest.raises(ProtocolError) as caught:
        HeadBuffer().cut(data)
    assert caught.value.status == answer


def test_the_same_fields_are_understood_once_and_never_mixed_up():
    """What one request's rules say in place of its fields is not seen by the next, whatever its target."""
    read(b"GET / HTTP/1.1\nHost: known\nX-Same: 1\nContent-Length: 3")
    first = read(b"GET /a?b HTTP/1.1\nHost: known\nX-Same: 1\nContent-Length: 3")
    first.edits[b"x-added"] = b"x-added: 1"
    second = read(b"PUT http://other/c HTTP/1.1\nHost: known\nX-Same: 1\nContent-Length: 3")
    assert second.fields is first.fields and not second.edits
    assert second.fields.lines == [b"X-Same: 1"] and second.fields.length == 3
    assert (second.method, second.authority, second.path) == (b"PUT", b"other", b"/c")
    assert read(b"GET / HTTP/1.1\nHost: known\nX-Same: 1\nContent-Length: 3").authority == b"known"


def test_a_request_line_is_understood_once():
    read(b"GET /once HTTP/1.1\nHost: a")
    assert TARGETS.found[b"GET /once HTTP/1.1"] == (b"GET", b"", b"/once", b"")
    request = read(b"GET /once HTTP/1.1\nHost: b")
    assert (request.authority, request.path, request.query) == (b"b", b"/once", b"")


@pytest.mark.parametrize(
    "line", [b"Cookie: session=1", b"X-Long: " + b"x" * 600, b"\n".join([b"X: " + b"y" * 500] * 5)]
)
def test_secrets_and_long_heads_are_not_kept(line):
    text = b"GET / HTTP/1.1\nHost: secret\n" + line
    assert len({id(fields) for fields in [read(text).fields for _ in range(3)]}) == 3


def test_the_known_heads_have_a_bound():
    for number in range(KNOWN_HEADS + 2):
        for _ in range(2):
            read(b"GET /%d HTTP/1.1\nHost: h%d\nX-%d: 1" % (number, number % 50, number))
        assert len(KNOWN.found) <= KNOWN_HEADS and len(LAYOUTS.known.found) <= KNOWN_HEADS
        assert len(TARGETS.found) <= KNOWN_HEADS


def test_what_comes_again_on_a_connection_shares_a_memory():
    """From the second time on that all of it is known, and until something else comes between."""
    last = LastRequest()
    same = b"GET /again HTTP/1.1\r\nHost: h\r\nX-Same: 1"

    def memory(text=same):
        return read_request(text, b"http", last).memory

    read_request(same, b"http")  # so that its fields are known
    assert memory() is None
    first = memory()
    assert first is not None and memory() is first
    for other in (same.replace(b"/again", b"/other"), same.replace(b"GET", b"PUT"), same.replace(b": 1", b": 2")):
        read_request(other, b"http")
        read_request(other, b"http")
        assert memory(other) is None, other
        assert memory() is None and memory() is not first
    assert read_request(same, b"http", LastRequest()).memory is None  # of another connection


def test_requests_that_hold_secrets_or_a_long_target_are_not_remembered():
    last = LastRequest()
    for text in (
        b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: a=b",
        b"GET /" + bytes(5000).hex().encode() + b" HTTP/1.1\r\nHost: h",
    ):
        assert [read_request(text, b"http", last).memory for _ in range(4)] == [None] * 4
