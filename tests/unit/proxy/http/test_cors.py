"""Cross-origin requests: what a preflight gets, and what a response gets added."""

import pytest

from nodemesh.proxy.http.cors import edit_response, is_preflight, preflight_edits
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
    edits = preflight_edits(cors, request(ORIGIN))
    assert [*edits.values()] == [
        b"access-control-allow-origin: https://a.example",
        b"access-control-allow-credentials: true",
        b"access-control-allow-methods: GET,PUT",
        b"access-control-allow-headers: x-a",
        b"access-control-max-age: 60",
        b"access-control-expose-headers: x-b",
    ]


def test_a_star_echoes_what_was_asked_for():
    cors = policy(methods=b"*", headers=b"*")
    edits = preflight_edits(cors, request({**ORIGIN, b"access-control-request-headers": b"x-asked"})) or {}
    assert edits[b"access-control-allow-methods"] == b"access-control-allow-methods: PUT"
    assert edits[b"access-control-allow-headers"] == b"access-control-allow-headers: x-asked"
    assert b"access-control-allow-headers" not in (preflight_edits(cors, request(ORIGIN)) or {})


def test_another_origin_is_the_upstreams_business_or_gets_nothing():
    other = request({**ORIGIN, b"origin": b"https://evil.example"})
    assert preflight_edits(policy(), other) is None
    assert preflight_edits(policy(forward_unmatched=False), other) == {}


def test_a_response_is_marked_in_place_of_what_the_upstream_said():
    edits = {}
    edit_response(policy(credentials=True, expose=b"x-b"), b"https://a.example", edits)
    assert edits == {
        b"access-control-allow-origin": b"access-control-allow-origin: https://a.example",
        b"access-control-allow-credentials": b"access-control-allow-credentials: true",
        b"access-control-expose-headers": b"access-control-expose-headers: x-b",
    }


@pytest.mark.parametrize("origin", [b"", b"https://evil.example"])
def test_other_responses_are_left_alone(origin):
    edits = {}
    edit_response(policy(), origin, edits)
    assert not edits
