"""Envoy's retry conditions, one by one."""

from random import Random

import pytest

from nodemesh.proxy.http.head import ResponseHead
from nodemesh.proxy.http.retry import MAX_MEMBERS, MOST_ASKED, asked_by_client, backoff, wants_failure, wants_response
from nodemesh.reasons import Reason
from nodemesh.routing.decision import Retry


def policy(*on, codes=(), **more):
    return Retry(on=frozenset(on), status_codes=frozenset(codes), **more)


@pytest.mark.parametrize(
    ("condition", "status", "retried"),
    [
        ("5xx", 500, True),
        ("5xx", 503, True),
        ("5xx", 499, False),
        ("gateway-error", 502, True),
        ("gateway-error", 504, True),
        ("gateway-error", 500, False),
        ("retriable-4xx", 409, True),
        ("retriable-4xx", 404, False),
        ("connect-failure", 503, False),
        ("retriable-status-codes", 418, True),
        ("retriable-status-codes", 503, False),
    ],
)
def test_statuses(condition, status, retried):
    assert wants_response(policy(condition, codes=(418,)), ResponseHead(status, b"", [])) is retried


@pytest.mark.parametrize(("status", "condition"), [(1, "cancelled"), (14, "unavailable"), (8, "resource-exhausted")])
def test_grpc_statuses_in_the_head(status, condition):
    head = ResponseHead(200, b"", [])
    assert not wants_response(policy(condition), head)
    head.grpc_status = status
    assert wants_response(policy(condition), head)
    assert not wants_response(policy("internal"), head)


@pytest.mark.parametrize(
    ("reason", "conditions"),
    [
        (
            Reason.UPSTREAM_CONNECTION_FAILURE,
            {"connect-failure", "5xx", "gateway-error", "reset", "reset-before-request"},
        ),
        (Reason.UPSTREAM_CONNECTION_TERMINATION, {"5xx", "gateway-error", "reset"}),
        (Reason.UPSTREAM_REFUSED_STREAM, {"refused-stream", "5xx", "gateway-error", "reset", "reset-before-request"}),
        (Reason.PER_TRY_TIMEOUT, {"5xx", "gateway-error", "reset"}),
        (Reason.UPSTREAM_OVERFLOW, set()),
        (Reason.NO_HEALTHY_UPSTREAM, set()),
    ],
)
def test_failures(reason, conditions):
    for condition in (
        "connect-failure",
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "refused-stream",
        "unavailable",
    ):
        assert wants_failure(policy(condition), reason) is (condition in conditions)


def test_a_rate_limited_response_is_retried_only_where_that_is_asked_for():
    limited = ResponseHead(503, b"", [b"X-Envoy-RateLimited: true"], frozenset({b"x-envoy-ratelimited"}))
    assert not wants_response(policy("5xx", "gateway-error"), limited)
    assert wants_response(policy("5xx", "envoy-ratelimited"), limited)
    limited.status = 429
    assert wants_response(policy("envoy-ratelimited"), limited)
    assert not wants_response(policy("envoy-ratelimited"), ResponseHead(429, b"", []))


def test_a_field_of_the_response_may_ask_for_a_retry():
    head = ResponseHead(200, b"", [b"X-Try-Again: please"], frozenset({b"x-try-again"}))
    assert wants_response(policy("retriable-headers", header_names=frozenset({b"x-try-again"})), head)
    assert not wants_response(policy("retriable-headers", header_names=frozenset({b"x-other"})), head)
    assert not wants_response(policy("5xx", header_names=frozenset({b"x-try-again"})), head)


def test_each_list_of_the_client_takes_its_own_conditions():
    asked = asked_by_client(None, {b"x-envoy-retry-on": b"5xx,cancelled", b"x-envoy-retry-grpc-on": b"internal, reset"})
    assert asked is not None and asked.on == {"5xx", "internal"} and asked.attempts == 1
    named = asked_by_client(
        None, {b"x-envoy-retry-on": b"retriable-headers", b"x-envoy-retriable-header-names": b"X-One, x-two"}
    )
    assert named is not None and named.header_names == {b"x-one", b"x-two"}


def test_backoff_grows_to_its_ceiling():
    rng, plan = Random(1), policy("5xx")
    for retry, ceiling in ((1, 0.025), (2, 0.075), (3, 0.175), (4, 0.25), (9, 0.25)):
        draws = [backoff(plan, retry, rng) for _ in range(300)]
        assert min(draws) >= 0.0 and 0.9 * ceiling < max(draws) <= ceiling


def test_clients_may_ask_for_more():
    assert asked_by_client(None, {}) is None
    asked = asked_by_client(None, {b"x-envoy-retry-on": b"5xx, reset", b"x-envoy-max-retries": b"3"})
    assert asked is not None and asked.on == {"5xx", "reset"} and asked.attempts == 3
    extended = asked_by_client(policy("reset"), {b"x-envoy-retriable-status-codes": b"418,429"})
    assert extended is not None and extended.on == {"reset"} and extended.status_codes == {418, 429}
    endless = {b"x-envoy-retriable-status-codes": b"9" * 10_000, b"x-envoy-max-retries": b"9" * 10_000}
    assert asked_by_client(policy("reset"), endless) is not None, "no number is too long to be read"
    hurried = asked_by_client(None, {b"x-envoy-upstream-rq-per-try-timeout-ms": b"250"})
    assert hurried is not None and hurried.per_try_timeout == 0.25 and hurried.attempts == 0


def test_a_client_gets_no_more_retries_than_are_good_for_all():
    asked = {b"x-envoy-retry-on": b"5xx", b"x-envoy-max-retries": b"4294967295"}
    assert asked_by_client(None, asked).attempts == MOST_ASKED
    assert asked_by_client(Retry(attempts=30), asked).attempts == 30
    assert asked_by_client(None, asked | {b"x-envoy-max-retries": b"3"}).attempts == 3


def test_of_a_long_list_only_the_beginning_counts():
    codes = b",".join(b"%d" % number for number in range(100, 100 + 2 * MAX_MEMBERS))
    names = b",".join(b"x-%d" % number for number in range(2 * MAX_MEMBERS))
    asked = asked_by_client(
        None,
        {
            b"x-envoy-retry-on": b"5xx" + b",x" * 2 * MAX_MEMBERS + b",reset",
            b"x-envoy-retriable-status-codes": codes,
            b"x-envoy-retriable-header-names": names,
        },
    )
    assert asked is not None and asked.on == {"5xx", "x"}
    assert len(asked.status_codes) == len(asked.header_names) == MAX_MEMBERS
