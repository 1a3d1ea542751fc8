"""Rows of counters: per field one cell for each worker, of which a worker writes its own and reads the sum of all.

A host has a row and so has a cluster. A row lies either in memory that the node's workers share (`shared.py`) or in a
small buffer of its own with one worker; the code that counts does not know which. Cells are aligned 64-bit integers:
stores and loads of one cell are atomic on x86-64 and arm64, and no cell has two writers, so no locks are needed. A sum
is as exact as Envoy's atomics: limits may be passed for a moment by as many as act in the same instant."""

from __future__ import annotations

from struct import Struct
from typing import Final

CELL: Final = 8  # bytes

# a host's fields
ACTIVE: Final = 0  # requests (or TCP connections) in flight
EJECTED_AT: Final = 1  # when this worker ejected it, in µs of the monotonic clock; 0: not ejected by this worker
UNEJECTED_AT: Final = 2
BACKOFF: Final = 3  # factor of the next ejection's length
STREAK: Final = 4  # three fields: consecutive errors by kind (outlier.Kind), with the epoch that they belong to
RESETS: Final = 7  # three fields: how often each streak was broken; the sum is the streak's epoch

# a cluster's fields
CONNECTIONS: Final = 0
PENDING: Final = 1
REQUESTS: Final = 2
RETRIES: Final = 3
RECENT: Final = 4  # requests begun within the retry budget's interval before RECENT_AT
RECENT_AT: Final = 5  # µs of the monotonic clock
RETRIED: Final = 6  # retries begun within it, where the budget counts these
CHANGES: Final = 7  # ejections and returns, for the other workers to notice

EPHEMERAL: Final = 7  # the fields before this one end with the worker that wrote them; the rest only ever grow
FIELDS: Final = 10


class CounterRow:
    """One host's or one cluster's counters, as worker number `worker` of `workers` sees them. `cells` is `buffer` as
    64-bit integers; the row begins at byte `offset`."""

    __slots__ = ("buffer", "cells", "column", "offset", "unpack", "worker", "workers")

    def __init__(self, buffer: memoryview, cells: memoryview[int], offset: int, workers: int, worker: int) -> None:
        self.buffer = buffer
        self.cells = cells
        self.offset = offset
        self.workers = workers
        self.worker = worker
        self.column = offset // CELL + worker
        self.unpack = Struct(f"{workers}q").unpack_from

    def cell(self, field: int) -> int:
        """Which of `cells` is this worker's own for that field: who counts often keeps it."""
        return self.column + field * self.workers

    def own(self, field: int) -> int:
        return self.cells[self.column + field * self.workers]

    def set(self, field: int, value: int) -> None:
        self.cells[self.column + field * self.workers] = value

    def add(self, field: int, amount: int) -> None:
        self.cells[self.column + field * self.workers] += amount

    def values(self, field: int) -> tuple[int, ...]:
        """The field's cells, one per worker."""
        return self.unpack(self.buffer, self.offset + field * self.workers * CELL)

    def total(self, field: int) -> int:
        if self.workers == 1:
            return self.cells[self.column + field]
        return sum(self.unpack(self.buffer, self.offset + field * self.workers * CELL))


def private_row() -> CounterRow:
    """A row that no other worker sees."""
    buffer = memoryview(bytearray(FIELDS * CELL))
    return CounterRow(buffer, buffer.cast("q"), 0, 1, 0)
