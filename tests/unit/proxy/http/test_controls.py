"""The fields by which a client steers its own request's timeouts and retries."""

import pytest

from nodemesh.proxy.http.controls import grpc_limit, retry_for, time_limit
from nodemesh.proxy.http.retry import NO_RETRY
from nodemesh.routing.decision import Retry


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"500m", 0.5), (b"1S", 1.0), (b"1M", 2.0), (b"1H", 2.0), (b"250000u", 0.25), (b"5", 2.0), (b"123456789m", 2.0)],
)
def test_a_grpc_deadline_counts_below_the_routes(value, seconds):
    assert grpc_limit(2.0, value) == pytest.approx(seconds)


def test_a_grpc_deadline_of_nothing_is_short_and_not_none():
    assert 0.0 < grpc_limit(0.0, b"0m") <= 0.001


def test_a_client_may_ask_for_more_or_less():
    headers = {b"x-envoy-upstream-rq-timeout-ms": b"5000", b"x-envoy-retry-on": b"5xx"}
    policy = retry_for(NO_RETRY, headers)
    assert time_limit(2.0, headers) == 5.0 and policy.attempts == 1 and policy.on == {"5xx"}


def test_what_is_no_number_changes_nothing():
    headers = {b"x-envoy-upstream-rq-timeout-ms": b"soon", b"x-envoy-max-retries": b"-1"}
    assert time_limit(2.0, headers) == 2.0 and retry_for(NO_RETRY, headers) is NO_RETRY
    some = Retry(attempts=2, on=frozenset({"5xx"}))
    assert retry_for(some, headers) == some
