"""Circuit breakers of one cluster: how many connections, waiting requests, requests and retries it may have at once.

Envoy's page "Circuit breaking" with Istio's fields (ConnectionPoolSettings, RetryBudget). Counts are the node's, not
one client's; a limit may be passed for a moment by workers that act in the same instant, as Envoy's may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..routing.decision import UNLIMITED, ConnectionPool, RetryBudgetPolicy
from .rows import CONNECTIONS, PENDING, RECENT, RECENT_AT, REQUESTS, RETRIED, RETRIES, CounterRow

SLOTS: Final = 10  # of the retry budget's sliding window, as Envoy's


class Limit:
    """One resource. Whoever gets True from `try_acquire` owes a `release`."""

    __slots__ = ("cell", "cells", "field", "maximum", "overflows", "row")

    def __init__(self, row: CounterRow, field: int) -> None:
        self.row = row
        self.field = field
        self.cells = row.cells
        self.cell = row.cell(field)
        self.maximum = UNLIMITED
        self.overflows = 0  # refusals by this worker

    @property
    def active(self) -> int:
        return self.row.total(self.field)

    def try_acquire(self) -> bool:
        if self.maximum < UNLIMITED and self.row.total(self.field) >= self.maximum:
            self.overflows += 1
            return False
        self.cells[self.cell] += 1
        return True

    def acquire(self) -> None:
        """Count one whatever the maximum says."""
        self.cells[self.cell] += 1

    def release(self) -> None:
        self.cells[self.cell] -= 1


class RequestLimit(Limit):
    """Requests in flight; for a retry budget with an interval it also remembers how many began within it, and how many
    retries."""

    __slots__ = ("clock", "retried", "slot_length", "slot_start", "slots")

    def __init__(self, row: CounterRow, clock: Callable[[], float]) -> None:
        super().__init__(row, REQUESTS)
        self.clock = clock
        self.slot_length = 0.0  # seconds; 0: no window
        self.slot_start = 0.0
        self.slots = [0] * SLOTS
        self.retried = [0] * SLOTS

    def watch(self, interval: float) -> None:
        """Count over this interval from now on; 0: do not."""
        if interval / SLOTS != self.slot_length:
            self.slot_length = interval / SLOTS
            self.slot_start = self.clock()
            self.slots = [0] * SLOTS
            self.retried = [0] * SLOTS
            self.row.set(RECENT, 0)
            self.row.set(RETRIED, 0)

    def try_acquire(self) -> bool:
        if self.maximum < UNLIMITED and self.row.total(self.field) >= self.maximum:
            self.overflows += 1
            return False
        self.cells[self.cell] += 1
        if self.slot_length:
            self.advance()
            self.slots[-1] += 1
            self.row.add(RECENT, 1)
            self.row.set(RECENT_AT, int(self.clock() * 1e6))
        return True

    def retry(self) -> None:
        """A retry has begun."""
        self.advance()
        self.retried[-1] += 1
        self.row.add(RETRIED, 1)
        self.row.set(RECENT_AT, int(self.clock() * 1e6))

    def recent(self, field: int = RECENT) -> int:
        """Requests of the node (or retries) that began within the interval. Workers that began none for so long count
        nothing."""
        self.advance()
        oldest = (self.clock() - self.slot_length * SLOTS) * 1e6
        return sum(
            count for count, at in zip(self.row.values(field), self.row.values(RECENT_AT), strict=True) if at >= oldest
        )

    def advance(self) -> None:
        """Let what began too long ago drop out of the window."""
        passed = int((self.clock() - self.slot_start) / self.slot_length)
        if passed > 0:
            self.slot_start += passed * self.slot_length
            self.slots = self.slots[passed:] + [0] * min(passed, SLOTS)
            self.retried = self.retried[passed:] + [0] * min(passed, SLOTS)
            self.row.set(RECENT, sum(self.slots))
            self.row.set(RETRIED, sum(self.retried))


class RetryLimit(Limit):
    """Retries in flight, against maxRetries or against a budget: a share of the requests, but never fewer than the
    minimum. A budget may count the retries that began instead."""

    __slots__ = ("budget", "requests")

    def __init__(self, row: CounterRow, requests: RequestLimit) -> None:
        super().__init__(row, RETRIES)
        self.requests = requests
        self.budget: RetryBudgetPolicy | None = None

    def grant(self, held: bool) -> bool:
        """One more retry, of a request that has a place already (`held`) or gets it with this one."""
        if self.answers:
            if not self.may_begin():
                return False
            if not held:
                self.acquire()
            return True
        return held or self.try_acquire()

    def try_acquire(self) -> bool:
        if self.budget is not None:
            self.maximum = self.allowance(self.budget)
        return super().try_acquire()

    def may_begin(self) -> bool:
        """Whether a budget of retries that begin has room for one more; it counts then."""
        assert self.budget is not None
        if self.requests.recent(RETRIED) >= self.allowance(self.budget):
            self.overflows += 1
            return False
        self.requests.retry()
        return True

    def allowance(self, budget: RetryBudgetPolicy) -> int:
        """How many retries may be in flight now, or may have begun within the interval. Without an interval the
        requests in flight and waiting count, with one those too that began within it."""
        considered = self.row.total(REQUESTS) + self.row.total(PENDING)
        if budget.interval:
            considered = max(considered, self.requests.recent())
        return max(int(budget.percent / 100.0 * considered), budget.min_concurrency)

    @property
    def answers(self) -> bool:
        """Whether the answer is our own where no more retries may begin, and not the upstream's last one."""
        return self.budget is not None and self.budget.begun


class Limits:
    """All breakers of one cluster."""

    __slots__ = ("connections", "pending", "requests", "requests_per_connection", "retries", "shared")

    def __init__(self, row: CounterRow, clock: Callable[[], float]) -> None:
        self.connections = Limit(row, CONNECTIONS)
        self.pending = Limit(row, PENDING)
        self.requests = RequestLimit(row, clock)
        self.retries = RetryLimit(row, self.requests)
        self.requests_per_connection = 0  # maxRequestsPerConnection; 0: any number
        self.shared = False  # whether workers share a number of connections that is not enough for all

    def configure(self, pool: ConnectionPool, budget: RetryBudgetPolicy | None) -> None:
        """Take new maxima; what is in flight stays counted."""
        self.connections.maximum = pool.max_connections
        self.shared = pool.max_connections < UNLIMITED and self.connections.row.workers > 1
        self.pending.maximum = pool.max_pending
        self.requests.maximum = pool.max_requests
        self.requests.watch(budget.interval if budget is not None else 0.0)
        self.retries.maximum = pool.max_retries
        self.retries.budget = budget
        self.requests_per_connection = pool.max_requests_per_connection

    @property
    def wanted_elsewhere(self) -> bool:
        """Whether no more connections are allowed while requests of other workers wait for one."""
        row = self.connections.row
        if not self.shared or row.total(CONNECTIONS) < self.connections.maximum:
            return False
        return row.total(PENDING) > row.own(PENDING)
