"""Heads and bodies as they are written."""

import pytest

from nodemesh.proxy.http.head import UNKNOWN, RequestFields, RequestHead, ResponseHead
from nodemesh.proxy.http1.write import write_chunk, write_last_chunk, write_request, write_response


def request(method: bytes, length: int = 0) -> RequestHead:
    fields = RequestFields([b"X-Kept: As It Came", b"x-a: 1"], frozenset({b"x-kept", b"x-a"}), {})
    fields.length = length
    return RequestHead(method, b"http", b"reviews", b"/", b"", fields)


@pytest.mark.parametrize(
    ("method", "length", "framing"),
    [
        (b"GET", 0, b""),
        (b"GET", 3, b"content-length: 3\r\n"),
        (b"POST", 0, b"content-length: 0\r\n"),
        (b"POST", UNKNOWN, b"transfer-encoding: chunked\r\n"),
        (b"DELETE", 0, b""),
    ],
)
def test_a_request_has_one_framing_at_most(method, length, framing):
    edits = {b"x-none": b"", b"x-a": b"x-a: 2\r\nx-a: 3"}
    written = write_request(request(method, length), b"/a?b", b"reviews:80", edits)
    assert written == (
        method + b" /a?b HTTP/1.1\r\nhost: reviews:80\r\nX-Kept: As It Came\r\nx-a: 2\r\nx-a: 3\r\n" + framing + b"\r\n"
    )


def test_what_is_not_edited_is_written_as_it_came():
    written = write_request(request(b"GET"), b"/", b"a", {b"x-b": b"x-b: 1"})
    assert written == b"GET / HTTP/1.1\r\nhost: a\r\nX-Kept: As It Came\r\nx-a: 1\r\nx-b: 1\r\n\r\n"


def test_hop_by_hop_fields_are_ours():
    head = request(b"GET")
    head.fields.trailers = True
    assert b"\r\nconnection: te\r\nte: trailers\r\n" in write_request(head, b"/", b"a", {})
    head.fields.upgrade = b"websocket"
    assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in write_request(head, b"/", b"a", {})


def test_a_response():
    head = ResponseHead(404, b"", [b"x: 1", b"y: 1"], frozenset({b"x", b"y"}), length=3)
    assert write_response(head, {b"y": b""}) == (b"HTTP/1.1 404 Not Found\r\nx: 1\r\ncontent-length: 3\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in write_response(head, {}, chunked=True)
    assert b"content-length" not in write_response(head, {}, chunked=True)
    assert b"content-length" not in write_response(head, {}, bodiless=True)
    assert write_response(head, {}, close=True).endswith(b"connection: close\r\n\r\n")
    assert write_response(head, {}, http10=True).endswith(b"connection: keep-alive\r\n\r\n")


def test_an_unknown_status_keeps_its_phrase():
    assert write_response(ResponseHead(299, b"Fine", []), {}, bodiless=True) == b"HTTP/1.1 299 Fine\r\n\r\n"
    assert write_response(ResponseHead(299, b"", []), {}, bodiless=True) == b"HTTP/1.1 299 \r\n\r\n"


def test_chunks():
    assert write_chunk(b"hello") == write_chunk(memoryview(b"hello")) == b"5\r\nhello\r\n"
    assert write_chunk(b"") == b"", "an empty chunk would end the body"
    assert write_last_chunk([]) == b"0\r\n\r\n"
    assert write_last_chunk([b"a: 1", b"b: 2"]) == b"0\r\na: 1\r\nb: 2\r\n\r\n"
