"""The fields by which a client steers its own request's timeouts and retries."""

import pytest
from tests.playbooks.mesh import ROUTE, SERVICE, rule

from nodemesh.proxy.http.call import Call
from nodemesh.proxy.http.controls import apply_controls, apply_grpc_timeout
from nodemesh.sim.world import World


@pytest.fixture
def call() -> Call:
    """Of a request with a timeout of 2 s and no retries, under way."""
    world = World(SERVICE + rule(ROUTE + "\ntimeout: 2s\nretries: {attempts: 0}"))
    world.serve("10.1.0.1", 9080)
    world.connect("10.96.0.10", 80).send(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
    world.run()
    (connection,) = world.proxy.pods[1].connections
    found = connection.exchange._call
    assert isinstance(found, Call) and found.timeout == 2.0
    return found


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"500m", 0.5), (b"1S", 1.0), (b"1M", 2.0), (b"1H", 2.0), (b"250000u", 0.25), (b"5", 2.0), (b"123456789m", 2.0)],
)
def test_a_grpc_deadline_counts_below_the_routes(call, value, seconds):
    apply_grpc_timeout(call, value)
    assert call.timeout == pytest.approx(seconds)


def test_a_grpc_deadline_of_nothing_is_short_and_not_none(call):
    call.timeout = 0.0
    apply_grpc_timeout(call, b"0m")
    assert 0.0 < call.timeout <= 0.001


def test_a_client_may_ask_for_more_or_less(call):
    apply_controls(call, {b"x-envoy-upstream-rq-timeout-ms": b"5000", b"x-envoy-retry-on": b"5xx"})
    assert call.timeout == 5.0 and call.policy.attempts == 1 and call.policy.on == {"5xx"}


def test_what_is_no_number_changes_nothing(call):
    before = call.policy
    apply_controls(call, {b"x-envoy-upstream-rq-timeout-ms": b"soon", b"x-envoy-max-retries": b"-1"})
    assert call.timeout == 2.0 and call.policy is before
