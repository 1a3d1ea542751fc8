"""Envoy's external authorization as bytes: what is asked, and what is read of the answer."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protobuf import grpc, header, message

from nodemesh.proxy.grpc.authorization import (
    Change,
    CheckedRequest,
    MessageError,
    Verdict,
    Where,
    check_request,
    read_check,
)


def question(**more):
    usual = CheckedRequest(b"GET", b"/", b"h", b"http", b"HTTP/1.1", {})
    return check_request(usual._replace(**more))


def test_a_question_has_the_request_as_envoy_tells_it():
    asked = check_request(
        CheckedRequest(
            b"PUT", b"/a?b=c", b"h.example", b"https", b"HTTP/2", {b"x-a": b"1", b"x-b": b"2"}, b"body" * 40,
            "203.0.113.9:4000", "[fd00::1]:443", b"an-id", 1_790_000_000.25,
        )
    )  # fmt: skip
    http = message(
        (1, b"an-id"),
        (2, b"PUT"),
        (3, message((1, b"x-a"), (2, b"1"))),
        (3, message((1, b"x-b"), (2, b"2"))),
        (4, b"/a?b=c"),
        (5, b"h.example"),
        (6, b"https"),
        (9, 160),
        (10, b"HTTP/2"),
        (11, b"body" * 40),
    )
    request = message((1, message((1, 1_790_000_000), (2, 250_000_000))), (2, http))
    source = message((1, message((1, message((2, b"203.0.113.9"), (3, 4000))))))
    destination = message((1, message((1, message((2, b"fd00::1"), (3, 443))))))
    assert asked == grpc(message((1, message((1, source), (2, destination), (4, request)))))


def test_text_that_is_none_is_made_one_and_a_body_stays_as_it_is():
    assert "/\N{REPLACEMENT CHARACTER}".encode() in question(path=b"/\xff")
    assert message((12, b"\xff\0")) in question(body=b"\xff\0")


OK = message((2, header(b"X-User", b"ann")), (2, header(b"x-more", b"v", raw=True, append=True)), (5, b"X-Gone"))
USER = Change(b"x-user", b"ann")
DENIED = message((1, message((1, 401))), (2, header(b"www-authenticate", b"Basic")), (3, b"who are you"))


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (message((1, message((1, 0)))), Verdict(0, [])),
        (b"", Verdict(0, [])),
        (message((3, OK)), Verdict(0, [USER, Change(b"x-more", b"v", Where.BESIDE)], (b"x-gone",))),
        (message((1, message((1, 7), (2, b"no")))), Verdict(403, [])),
        (
            message((1, message((1, 16))), (2, DENIED)),
            Verdict(401, [Change(b"www-authenticate", b"Basic")], body=b"who are you"),
        ),
        (message((2, DENIED)), Verdict(401, [Change(b"www-authenticate", b"Basic")], body=b"who are you")),
        (message((1, message((1, 7))), (3, OK)), Verdict(403, [])),
        (message((1, message((1, 13))), (5, message((1, message((1, 503)))))), Verdict(503, [])),
        (message((5, message((1, message((1, 503)))))), Verdict(0, [])),
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


@pytest.mark.parametrize(
    ("option", "request_s", "response_s"),
    [
        (b"", Where.INSTEAD, Where.BESIDE),
        (message((2, message((1, 1)))), Where.BESIDE, Where.BESIDE),
        (message((2, b"")), Where.INSTEAD, Where.INSTEAD),
        (message((3, 1)), Where.ABSENT, Where.ABSENT),
        (message((3, 2)), Where.INSTEAD, Where.INSTEAD),
        (message((3, 3)), Where.PRESENT, Where.PRESENT),
        (message((3, 9)), Where.INSTEAD, Where.BESIDE),
        (message((3, 1), (2, message((1, 1)))), Where.BESIDE, Where.BESIDE),  # the older spelling comes first
    ],
)
def test_where_a_field_goes_is_said_in_two_spellings(option, request_s, response_s):
    found = read_check(grpc(message((3, message((2, header(b"A", b"b") + option), (6, option + header(b"A", b"b")))))))
    assert (found.fields, found.response) == ([Change(b"a", b"b", request_s)], (Change(b"a", b"b", response_s),))
