"""Envoy's external authorization as bytes: what is asked, and what is read of the answer."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protobuf import grpc, header, message

from nodemesh.proxy.grpc.authorization import MessageError, Verdict, check_request, read_check


def test_a_question_has_the_request_as_envoy_tells_it():
    asked = check_request(
        b"PUT", b"/a?b=c", b"h.example", b"https", b"HTTP/2", {b"x-a": b"1", b"x-b": b"2"}, b"body" * 40
    )
    http = message(
        (2, b"PUT"),
        (3, message((1, b"x-a"), (2, b"1"))),
        (3, message((1, b"x-b"), (2, b"2"))),
        (4, b"/a?b=c"),
        (5, b"h.example"),
        (6, b"https"),
        (9, 160),
        (10, b"HTTP/2"),
        (12, b"body" * 40),
    )
    assert asked == grpc(message((1, message((4, message((2, http)))))))


def test_text_that_is_none_is_made_one():
    asked = check_request(b"GET", b"/\xff", b"h", b"http", b"HTTP/1.1", {}, b"")
    assert "/\N{REPLACEMENT CHARACTER}".encode() in asked


OK = message((2, header(b"X-User", b"ann")), (2, header(b"x-more", b"v", raw=True, append=True)), (5, b"X-Gone"))
DENIED = message((1, message((1, 401))), (2, header(b"www-authenticate", b"Basic")), (3, b"who are you"))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (message((1, message((1, 0)))), Verdict(0, [])),
        (b"", Verdict(0, [])),
        (message((3, OK)), Verdict(0, [(b"x-user", b"ann"), (b"x-more", b"v")], frozenset({b"x-more"}), (b"x-gone",))),
        (message((1, message((1, 7), (2, b"no")))), Verdict(403, [])),
        (
            message((1, message((1, 16))), (2, DENIED)),
            Verdict(401, [(b"www-authenticate", b"Basic")], body=b"who are you"),
        ),
        (message((2, DENIED)), Verdict(401, [(b"www-authenticate", b"Basic")], body=b"who are you")),
        (message((1, message((1, 7))), (3, OK)), Verdict(403, [])),
    ],
)
def test_an_answer_lets_pass_or_says_what_the_client_gets(answer, verdict):
    assert read_check(grpc(answer)) == verdict


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\0",
        b"\1\0\0\0\0",
        b"\0\0\0\0\5\x0a",
        grpc(b"\x0a\x05ab"),
        grpc(b"\x0b"),
        grpc(b"\xff" * 12),
        grpc(message((2, message((1, message((1, 99))))))),
        grpc(b"") + grpc(b""),
    ],
)
def test_what_is_no_answer_is_told(data):
    with pytest.raises(MessageError):
        read_check(data)


@given(st.binary(max_size=60))
def test_whatever_comes_is_an_answer_or_told_as_none(data):
    with suppress(MessageError):
        read_check(grpc(data))
