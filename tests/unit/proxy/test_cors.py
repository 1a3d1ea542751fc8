"""Cross-origin requests: what a preflight gets, and what a response gets added."""

import pytest

from nodemesh.proxy.cors import add_response_lines, is_preflight, preflight_lines
from nodemesh.routing.decision import Cors
from nodemesh.routing.request import Request

ORIGIN = {b"origin": b"https://a.example", b"access-control-request-method": b"PUT"}


def request(headers: dict[bytes, bytes], method: bytes = b"OPTIONS") -> Request:
    return Request(method, b"http", b"reviews", b"/", b"", headers)


def policy(**more) -> Cors:
    return Cors(allow_origin=lambda origin: origin == b"https://a.example", **more)


@pytest.mark.parametrize(
    ("headers", "method", "answer"),
    [
        (ORIGIN, b"OPTIONS", True),
        (ORIGIN, b"GET", False),
        ({b"origin": b"https://a.example"}, b"OPTIONS", False),
        ({**ORIGIN, b"origin": b""}, b"OPTIONS", False),
    ],
)
def test_what_a_preflight_is(headers, method, answer):
    assert is_preflight(request(headers, method)) is answer


def test_an_allowed_origin_is_told_what_it_may():
    cors = policy(methods=b"GET,PUT", headers=b"x-a", max_age=b"60", credentials=True, expose=b"x-b")
    assert preflight_lines(cors, request(ORIGIN)) == [
        b"access-control-allow-origin: https://a.example",
        b"access-control-allow-credentials: true",
        b"access-control-allow-methods: GET,PUT",
        b"access-control-allow-headers: x-a",
        b"access-control-max-age: 60",
    ]


def test_a_star_echoes_what_was_asked_for():
    cors = policy(methods=b"*", headers=b"*")
    lines = preflight_lines(cors, request({**ORIGIN, b"access-control-request-headers": b"x-asked"}))
    assert b"access-control-allow-methods: PUT" in lines and b"access-control-allow-headers: x-asked" in lines
    assert not any(b"allow-headers" in line for line in preflight_lines(cors, request(ORIGIN)))


def test_another_origin_is_the_upstreams_business_or_gets_nothing():
    other = request({**ORIGIN, b"origin": b"https://evil.example"})
    assert preflight_lines(policy(), other) is None
    assert preflight_lines(policy(forward_unmatched=False), other) == []


def test_a_response_is_marked_in_place_of_what_the_upstream_said():
    lines = [b"Access-Control-Allow-Origin: *", b"x-kept: 1"]
    add_response_lines(policy(credentials=True, expose=b"x-b"), b"https://a.example", lines)
    assert lines == [
        b"x-kept: 1",
        b"access-control-allow-origin: https://a.example",
        b"access-control-allow-credentials: true",
        b"access-control-expose-headers: x-b",
    ]


@pytest.mark.parametrize("origin", [b"", b"https://evil.example"])
def test_other_responses_are_left_alone(origin):
    lines = [b"access-control-allow-origin: *"]
    add_response_lines(policy(), origin, lines)
    assert lines == [b"access-control-allow-origin: *"]
