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


def test_a_request_may_count_as_several():
    budget = PodBudget(LIMITS)
    assert [budget.try_request(2) for _ in range(3)] == [True, True, False]
    budget.release_request(2)
    assert budget.requests == 2 and budget.try_request(100), "one that weighs more than the limit is served alone"
    budget.release_request(100)
    budget.release_request(2)
    assert budget.requests == 0


def test_workers_share_a_pods_limits():
    budget = PodBudget(LIMITS, workers=2)
    assert [budget.try_request() for _ in range(3)] == [True, True, False]
    assert budget.buffer_share == 500
    budget.configure(PodLimits(requests=8), 2)
    assert [budget.try_request() for _ in range(3)] == [True, True, False]
