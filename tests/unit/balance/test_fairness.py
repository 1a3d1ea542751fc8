from nodemesh.balance.fairness import PodBudget
from nodemesh.config.meshconfig import PodLimits

LIMITS = PodLimits(connections=2, requests=3, buffered_bytes=1000)


def test_connections_and_requests_are_bounded_apart():
    budget = PodBudget(LIMITS)
    assert [budget.try_connection() for _ in range(3)] == [True, True, False]
    assert [budget.try_request() for _ in range(4)] == [True, True, True, False]
    assert budget.refusals == 2
    budget.release_connection()
    budget.release_request()
    assert budget.try_connection()
    assert budget.try_request()


def test_buffering_stops_at_the_limit_and_resumes_at_half():
    budget = PodBudget(LIMITS)
    assert budget.try_buffer(900)
    assert budget.try_buffer(900)  # one piece may pass
    assert not budget.try_buffer(1)
    budget.release_buffer(900)
    assert not budget.buffers_low
    budget.release_buffer(400)
    assert budget.buffers_low


def test_workers_share_a_pods_limits():
    budget = PodBudget(LIMITS, workers=2)
    assert [budget.try_request() for _ in range(3)] == [True, True, False]
    budget.configure(PodLimits(requests=8), 2)
    assert [budget.try_request() for _ in range(3)] == [True, True, False]
