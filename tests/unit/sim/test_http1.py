"""Messages of HTTP/1.1 as the simulator reads them, however they are cut."""

import pytest

from nodemesh.sim.http1 import Http1Reader, write

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n\r\n"


def fed(reader, data, size):
    found = []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_bodies_and_trailers_are_read_whole(size):
    reader = Http1Reader(True)
    first, second = fed(reader, CHUNKED + write(b"HTTP/1.1 404 Not Found", [(b"content-length", b"2")], b"hi"), size)
    assert (first.status, first.body, first.trailers) == (200, b"abc", [(b"grpc-status", b"0")])
    assert (second.status, second.body) == (404, b"hi")


def test_interim_responses_are_passed_over():
    (message,) = Http1Reader(True).feed(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n")
    assert message.status == 204


def test_an_answer_to_head_has_no_body():
    reader = Http1Reader(True)
    reader.bodiless = True
    (message,) = reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    assert message.body == b""
    (message,) = reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
    assert message.body == b"hi"


def test_without_a_length_a_response_lasts_to_the_end():
    reader = Http1Reader(True)
    assert reader.feed(b"HTTP/1.0 200 OK\r\n\r\nab") == reader.feed(b"c") == []
    assert reader.end().body == b"abc"


def test_a_request_without_a_length_has_no_body():
    one, two = Http1Reader(False).feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert one.field(b"host") == two.field(b"host") == b"a"
