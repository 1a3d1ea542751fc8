import msgspec
import pytest
from tests.unit.balance.building import Clock

from nodemesh.balance.limits import Limits
from nodemesh.balance.rows import CELL, FIELDS, CounterRow, private_row
from nodemesh.routing.decision import ConnectionPool, RetryBudgetPolicy


def limits(pool=None, budget=None, clock=None):
    made = Limits(private_row(), clock or Clock())
    made.configure(pool or ConnectionPool(), budget)
    return made


def acquire(limit, count):
    return sum(limit.try_acquire() for _ in range(count))


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("max_connections", "connections"),
        ("max_pending", "pending"),
        ("max_requests", "requests"),
        ("max_retries", "retries"),
    ],
)
def test_each_resource_has_its_maximum(field, name):
    limit = getattr(limits(msgspec.structs.replace(ConnectionPool(), **{field: 2})), name)
    assert acquire(limit, 3) == 2
    assert (limit.active, limit.overflows) == (2, 1)
    limit.release()
    assert acquire(limit, 3) == 1
    assert limit.overflows == 3


def test_by_default_nothing_is_limited():
    some = limits()
    for limit in (some.connections, some.pending, some.requests, some.retries):
        assert acquire(limit, 5000) == 5000


def test_a_lowered_maximum_counts_what_is_in_flight():
    some = limits()
    acquire(some.requests, 5)
    some.configure(ConnectionPool(max_requests=3), None)
    assert not some.requests.try_acquire()
    assert some.requests.active == 5


@pytest.mark.parametrize(
    ("percent", "minimum", "requests", "pending", "retries"),
    [
        (20.0, 3, 0, 0, 3),
        (20.0, 3, 2, 0, 3),
        (20.0, 3, 25, 0, 5),  # the examples of Istio's RetryBudget
        (20.0, 3, 20, 9, 5),  # waiting requests count too; rounded down
        (0.0, 0, 100, 0, 0),
        (100.0, 0, 7, 0, 7),
    ],
)
def test_the_retry_budget_is_a_share_of_the_requests(percent, minimum, requests, pending, retries):
    some = limits(ConnectionPool(max_retries=1), RetryBudgetPolicy(percent=percent, min_concurrency=minimum))
    acquire(some.requests, requests)
    acquire(some.pending, pending)
    assert acquire(some.retries, 200) == retries


def test_without_the_budget_max_retries_holds_again():
    some = limits(ConnectionPool(max_retries=1), RetryBudgetPolicy(min_concurrency=9))
    assert acquire(some.retries, 20) == 9
    some.configure(ConnectionPool(max_retries=10), None)
    assert acquire(some.retries, 20) == 1


def test_a_budget_interval_counts_requests_that_began_within_it():
    clock = Clock()
    some = limits(budget=RetryBudgetPolicy(percent=10.0, min_concurrency=0, interval=10.0), clock=clock)
    for _ in range(100):
        assert some.requests.try_acquire()
        some.requests.release()
    assert acquire(some.retries, 50) == 10
    clock.advance(9.9)
    assert some.retries.allowance(some.retries.budget) == 10
    clock.advance(0.2)
    assert some.retries.allowance(some.retries.budget) == 0


def test_the_window_slides_in_tenths():
    clock = Clock()
    some = limits(budget=RetryBudgetPolicy(percent=100.0, min_concurrency=0, interval=10.0), clock=clock)
    for _ in range(20):
        some.requests.try_acquire()
        some.requests.release()
        clock.advance(1.0)
    assert some.retries.allowance(some.retries.budget) == 9  # the tenth that began last is still empty
    clock.advance(4.0)
    assert some.retries.allowance(some.retries.budget) == 5
    clock.advance(1000.0)
    assert some.retries.allowance(some.retries.budget) == 0


def test_a_worker_that_fell_idle_drops_out_of_the_budget():
    clock = Clock()
    buffer = memoryview(bytearray(FIELDS * 2 * CELL))
    budget = RetryBudgetPolicy(percent=100.0, min_concurrency=0, interval=10.0)
    one, two = (Limits(CounterRow(buffer, buffer.cast("q"), 0, 2, worker), clock) for worker in range(2))
    for some in (one, two):
        some.configure(ConnectionPool(), budget)
        some.requests.try_acquire()
        some.requests.release()
    assert one.retries.allowance(budget) == 2
    clock.advance(11.0)
    assert one.retries.allowance(budget) == 0


def test_a_budget_of_retries_that_begin_counts_each_of_them_within_its_interval():
    clock = Clock()
    budget = RetryBudgetPolicy(percent=20.0, min_concurrency=2, interval=10.0, begun=True)
    some = limits(budget=budget, clock=clock)
    for _ in range(50):
        some.requests.try_acquire()
        some.requests.release()
    granted = 0
    while some.retries.grant(held=granted > 3):
        granted += 1
        if granted <= 4:
            some.retries.release()  # that they are over frees nothing
    assert (granted, some.retries.overflows) == (10, 1)
    clock.advance(5.0)
    assert not some.retries.grant(held=False)
    clock.advance(6.0)
    assert [some.retries.grant(held=False) for _ in range(3)] == [True, True, False]  # the least there is
    assert some.retries.active == 2


def test_workers_share_a_budget_of_retries_that_begin():
    clock = Clock()
    buffer = memoryview(bytearray(FIELDS * 2 * CELL))
    budget = RetryBudgetPolicy(percent=0.0, min_concurrency=3, interval=10.0, begun=True)
    one, two = (Limits(CounterRow(buffer, buffer.cast("q"), 0, 2, worker), clock) for worker in range(2))
    for some in (one, two):
        some.configure(ConnectionPool(), budget)
    assert [some.retries.grant(held=False) for some in (one, two, one, two)] == [True, True, True, False]
    clock.advance(11.0)
    two.requests.try_acquire()
    assert two.retries.grant(held=False)


def test_of_a_budget_in_flight_a_request_that_holds_a_place_may_go_on():
    some = limits(ConnectionPool(max_retries=1))
    assert some.retries.grant(held=False)
    assert not some.retries.grant(held=False)
    assert some.retries.grant(held=True) and not some.retries.answers
