"""What field sections say: heads and trailers; the conformance tables have what is malformed."""

from __future__ import annotations

import pytest
from tests.unit.proxy.http2.peer import REQUEST

from nodemesh.proxy.http2.codes import PROTOCOL_ERROR
from nodemesh.proxy.http2.fault import StreamFault
from nodemesh.proxy.http2.field import Field
from nodemesh.proxy.http2.head import UNKNOWN, read_partly, read_request, read_response, read_trailers
from nodemesh.reasons import Reason


def fields(*pairs: tuple[bytes, bytes]) -> list[Field]:
    return [Field(name, value) for name, value in pairs]


def test_a_request():
    head = read_request(fields(*REQUEST, (b"x-a", b"b"), (b"content-length", b"5"), (b"te", b"trailers")), True)
    assert (head.method, head.scheme, head.authority, head.path) == (b"POST", b"http", b"a", b"/")
    assert head.fields == [(b"x-a", b"b"), (b"content-length", b"5"), (b"te", b"trailers")]
    assert head.length == 5 and head.status == 0 and head.protocol == b""


def test_a_cookie_is_one_field_at_its_first_crumbs_place():
    crumbs = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    assert read_request(fields(*REQUEST, *crumbs), True).fields == [(b"cookie", b"a=1; b=2; c=3"), (b"x", b"y")]


def test_host_says_something_only_without_authority():
    assert read_request(fields(*REQUEST, (b"host", b"b")), True).authority == b"a"
    head = read_request(fields(*REQUEST[:3], (b"host", b"b")), True)
    assert head.authority == b"b" and head.fields == []


def test_what_is_not_passed_on():
    assert read_request(fields(*REQUEST, (b"http2-settings", b"AAMAAABk")), True).fields == []


def test_who_said_never_indexed_is_kept_in_mind():
    found = fields(*REQUEST, (b"x-a", b"b"))
    found += [Field(b"x-secret", b"1", True), Field(b"x-secret", b"2", True)]
    assert read_request(found, True).never == (b"x-secret",)


def test_extended_connect_only_where_it_is_served():
    asked = fields((b":method", b"CONNECT"), (b":protocol", b"websocket"), *REQUEST[1:])
    head = read_request(asked, True)
    assert (head.method, head.protocol, head.path) == (b"CONNECT", b"websocket", b"/")
    with pytest.raises(StreamFault):
        read_request(asked, False)


def test_connect():
    head = read_request(fields((b":method", b"CONNECT"), (b":authority", b"a:1")), False)
    assert (head.authority, head.path, head.scheme) == (b"a:1", b"", b"")


def test_a_response():
    head = read_response(fields((b":status", b"200"), (b"set-cookie", b"a"), (b"set-cookie", b"b")))
    assert head.status == 200 and head.length == UNKNOWN
    assert head.fields == [(b"set-cookie", b"a"), (b"set-cookie", b"b")]


def test_trailers_have_nothing_that_frames_a_message():
    found = fields((b"grpc-status", b"0"), (b"content-length", b"5"), (b"host", b"a"), (b"te", b"trailers"))
    found += fields((b"cookie", b"a=b"), (b"authorization", b"x"))
    assert read_trailers(found) == [b"grpc-status: 0"]


@pytest.mark.parametrize(
    "pair, reason",
    [
        ((b"connection", b"close"), Reason.HTTP2_INVALID_FIELD),
        ((b"x", b"a\nb"), Reason.HTTP2_INVALID_FIELD),
        ((b":path", b"/"), Reason.HTTP2_MESSAGING_VIOLATION),
        ((b":status", b"200"), Reason.HTTP2_MESSAGING_VIOLATION),
    ],
)
def test_the_reason_says_what_kind_of_fault_it_was(pair, reason):
    with pytest.raises(StreamFault) as caught:
        read_request(fields(*REQUEST, pair), True)
    assert (caught.value.fault.code, caught.value.fault.reason) == (PROTOCOL_ERROR, reason)


def test_what_is_known_of_a_request_that_is_refused():
    head = read_partly(fields((b"x", b"\0"), (b":path", b"/a"), (b":method", b"GET"), (b":status", b"200")))
    assert (head.path, head.method, head.fields) == (b"/a", b"GET", [])
