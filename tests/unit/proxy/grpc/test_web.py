"""gRPC-Web into gRPC and back."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.grpc.web import WebError, web_call

MESSAGE = b"\0\0\0\0\x05hello"
TRAILERS = [(b"grpc-status", b"0"), (b"grpc-message", b"all%20well")]


@pytest.mark.parametrize(
    ("content_type", "text", "upstream", "downstream"),
    [
        (b"application/grpc-web", False, b"application/grpc", b"application/grpc-web+proto"),
        (b"application/grpc-web+proto", False, b"application/grpc+proto", b"application/grpc-web+proto"),
        (b"application/grpc-web+json;charset=utf-8", False, b"application/grpc+json", b"application/grpc-web+json"),
        (b"application/grpc-web-text", True, b"application/grpc", b"application/grpc-web-text+proto"),
        (b"application/grpc-web-text+thrift", True, b"application/grpc+thrift", b"application/grpc-web-text+thrift"),
    ],
)
def test_types(content_type, text, upstream, downstream):
    call = web_call(content_type)
    fields = call.request_fields(
        [(b"content-type", content_type), (b"content-length", b"9"), (b"te", b"x"), (b"x-a", b"b")]
    )
    assert fields[0] == (b"content-type", upstream) and call.text is text
    assert fields[1:] == [(b"te", b"trailers"), (b"grpc-accept-encoding", b"identity"), (b"x-a", b"b")]
    answer = [(b"content-type", b"application/grpc"), (b"content-length", b"9"), (b"x-a", b"b")]
    assert call.response_fields(answer) == [(b"content-type", downstream), (b"x-a", b"b")]


@pytest.mark.parametrize(
    "content_type",
    [b"", b"application/grpc", b"application/grpc+proto", b"application/grpc-webx", b"application/grpc-web-texts",
     b"application/grpc-web+", b"text/application/grpc-web"],
)  # fmt: skip
def test_other_types(content_type):
    assert web_call(content_type) is None


def test_an_answer_that_is_not_grpcs_keeps_its_type():
    fields = [(b"content-type", b"text/html"), (b"content-length", b"9")]
    assert web_call(b"application/grpc-web").response_fields(fields) == fields


def test_a_binary_call():
    call = web_call(b"application/grpc-web+proto")
    assert call.request_data(MESSAGE, True) == MESSAGE and call.response_data(MESSAGE) == MESSAGE
    frame = call.response_trailers(TRAILERS)
    assert frame[0] == 0x80 and int.from_bytes(frame[1:5], "big") == len(frame) - 5
    assert frame[5:] == b"grpc-status:0\r\ngrpc-message:all%20well\r\n"
    assert call.response_trailers([]) == b"\x80\0\0\0\0"


def test_a_text_call():
    call = web_call(b"application/grpc-web-text")
    assert call.request_data(base64.b64encode(MESSAGE), True) == MESSAGE
    assert base64.b64decode(call.response_data(MESSAGE)) == MESSAGE
    assert base64.b64decode(call.response_trailers(TRAILERS))[5:].startswith(b"grpc-status:0\r\n")


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 20))
def test_pieces_with_padding_of_their_own_cut_anywhere(pieces, cut):
    sent = b"".join(base64.b64encode(piece) for piece in pieces)
    call = web_call(b"application/grpc-web-text")
    found = b"".join(call.request_data(sent[start : start + cut], False) for start in range(0, len(sent), cut))
    assert found + call.request_data(b"", True) == b"".join(pieces)


@pytest.mark.parametrize(
    "sent", [b"AAA", b"A", b"AA=A", b"====", b"A===", b"AA A", b"AAA\n", b"AA-_", b"AA==A", b"\xff" * 4]
)
def test_what_is_no_base64(sent):
    with pytest.raises(WebError):
        web_call(b"application/grpc-web-text").request_data(sent, True)


def test_no_more_than_three_characters_are_kept():
    call = web_call(b"application/grpc-web-text")
    for _ in range(1000):
        call.request_data(b"A", False)
        assert len(call._held) < 4
