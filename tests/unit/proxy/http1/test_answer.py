"""An answer's head tells the connection how much is to come, where that is much."""

import pytest

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http1.answer import AnswerWriter
from nodemesh.proxy.http1.client import BULK_LENGTH
from nodemesh.proxy.http1.request import read_request
from nodemesh.proxy.http1.response import read_response
from nodemesh.proxy.transport import SILENT, Transport


class Wire(Transport):
    def __init__(self):
        super().__init__(SILENT)
        self.sent = []

    def send(self, data):
        self.sent.append((bytes(data), self.to_come))


@pytest.mark.parametrize(
    ("method", "fields", "to_come"),
    [
        (b"GET", f"content-length: {BULK_LENGTH}", BULK_LENGTH),
        (b"GET", f"content-length: {BULK_LENGTH - 1}", 0),
        (b"HEAD", f"content-length: {BULK_LENGTH}", 0),
        (b"GET", "transfer-encoding: chunked", 0),
    ],
    ids=["large", "small", "no body", "unknown"],
)
def test_before_the_head_is_written_it_is_known_how_much_follows(method, fields, to_come):
    wire = Wire()
    request = read_request(method + b" / HTTP/1.1\r\nhost: web", b"http")
    response = read_response(b"HTTP/1.1 200 OK\r\n" + fields.encode(), method)
    AnswerWriter(wire).begin(response, NO_EDITS, b"", ended=False, request=request, close=False)
    ((head, told),) = wire.sent
    assert head.startswith(b"HTTP/1.1 200") and told == to_come
