"""Counters that a node's workers share: loads, ejections and circuit breakers count for the node, not for one worker.

The memory is any writable buffer of `size_of(...)` bytes that all processes map (control makes a memfd); here it is
only arithmetic. Layout, in 64-bit cells:

    header   MAGIC, workers, capacity, rows ever used
    index    INDEX_FACTOR * capacity pairs (key, row): where a key's row is, by hash, within PROBES pairs of its home
    rows     capacity rows of FIELDS fields, each field one cell per worker (`rows.py`)

Control alone writes header and index, before it sends the tables that name the keys: `Ledger`. A worker looks its keys
up and writes its own column of the rows: `Share`. A key without a row (memory full, or its neighbourhood of the index)
is counted by each worker for itself. A row is reused only after its key was unwanted twice and nothing is in flight on
it, and is cleared first. A worker that starts clears its column: what its predecessor had in flight died with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..routing.decision import Cluster
from .hashing import hash_key
from .rows import ACTIVE, CELL, CONNECTIONS, EPHEMERAL, FIELDS, PENDING, REQUESTS, RETRIES, CounterRow

MAGIC: Final = 0x6E6D6573685F3031  # "nmesh_01": the layout above
HEADER_CELLS: Final = 4
USED: Final = 3  # the header's cell with the number of rows ever used
INDEX_FACTOR: Final = 4
PROBES: Final = 16

HOST_IN_FLIGHT: Final = (ACTIVE,)
CLUSTER_IN_FLIGHT: Final = (CONNECTIONS, PENDING, REQUESTS, RETRIES)


def size_of(workers: int, capacity: int) -> int:
    """Bytes for `capacity` rows, one per cluster and one per endpoint of each."""
    return CELL * (HEADER_CELLS + 2 * INDEX_FACTOR * capacity + capacity * FIELDS * workers)


def cluster_key(cluster: str) -> int:
    return nonzero(hash_key(cluster.encode()))


def host_key(cluster: str, address: str, port: int) -> int:
    return nonzero(hash_key(f"{cluster}\0{address}\0{port}".encode()))


def keys_of(cluster: Cluster) -> dict[int, tuple[int, ...]]:
    """The keys of a cluster and its endpoints, each with the fields that show its row in use."""
    hosts = (host_key(cluster.key, endpoint.address, endpoint.port) for endpoint in cluster.all_endpoints)
    return {cluster_key(cluster.key): CLUSTER_IN_FLIGHT, **dict.fromkeys(hosts, HOST_IN_FLIGHT)}


def nonzero(value: int) -> int:
    """A signed cell's positive value; 0 marks a free place of the index."""
    return value >> 1 or 1


class Memory:
    """The layout over a buffer, as both sides see it."""

    __slots__ = ("buffer", "capacity", "cells", "workers")

    def __init__(self, buffer: memoryview, workers: int, capacity: int) -> None:
        self.buffer = buffer
        self.cells: memoryview[int] = buffer.cast("q")
        self.workers = workers
        self.capacity = capacity

    def places(self, key: int) -> Iterable[int]:
        """The cells of the index where this key may stand."""
        size = INDEX_FACTOR * self.capacity
        home = key % size
        return [HEADER_CELLS + 2 * ((home + probe) % size) for probe in range(PROBES)]

    def find(self, key: int) -> int:
        """The key's row, -1 if it has none."""
        for place in self.places(key):
            if self.cells[place] == key:
                return self.cells[place + 1]
        return -1

    def first_cell(self, row: int) -> int:
        return HEADER_CELLS + 2 * INDEX_FACTOR * self.capacity + row * FIELDS * self.workers

    def row(self, number: int, worker: int) -> CounterRow:
        return CounterRow(self.buffer, self.cells, self.first_cell(number) * CELL, self.workers, worker)

    def clear_column(self, worker: int) -> None:
        """Take back what a worker had in flight and decided for the time being."""
        for number in range(self.cells[USED]):
            row = self.row(number, worker)
            for field in range(EPHEMERAL):
                row.set(field, 0)


class Ledger:
    """Control's side: gives rows to keys and takes them back."""

    __slots__ = ("free", "in_flight", "known", "leaving", "memory", "rows", "without")

    def __init__(self, buffer: memoryview, workers: int, capacity: int) -> None:
        self.memory = Memory(buffer, workers, capacity)
        self.memory.cells[1] = workers
        self.memory.cells[2] = capacity
        self.memory.cells[USED] = 0
        self.memory.cells[0] = MAGIC
        self.rows: dict[int, int] = {}
        self.in_flight: dict[int, tuple[int, ...]] = {}  # by key: the fields that show a row in use
        self.leaving: set[int] = set()
        self.known: dict[int, tuple[Cluster, dict[int, tuple[int, ...]]]] = {}  # by id, which the value keeps taken
        self.without = 0
        self.free: list[int] = []

    def assign(self, clusters: Iterable[Cluster]) -> int:
        """Give all these clusters and their endpoints rows, before the tables with them are sent, and take back the
        rows of others. Returns how many keys must do without."""
        before, self.known = self.known, {}
        for cluster in clusters:
            kept = before.get(id(cluster))
            self.known[id(cluster)] = kept if kept is not None else (cluster, keys_of(cluster))
        if self.known.keys() == before.keys() and not self.leaving:
            return self.without
        wanted: dict[int, tuple[int, ...]] = {}
        for _, keys in self.known.values():
            wanted.update(keys)
        unwanted = self.rows.keys() - wanted.keys()
        for key in unwanted & self.leaving:
            if self._idle(key):
                self._take_back(key)
        self.leaving = unwanted & self.rows.keys()
        self.without = sum(not self._place(key, fields) for key, fields in wanted.items() if key not in self.rows)
        return self.without

    def row_of(self, key: int) -> CounterRow | None:
        """A key's row, to read."""
        number = self.rows.get(key)
        return self.memory.row(number, 0) if number is not None else None

    def forget(self, worker: int) -> None:
        """A worker died and will not come back."""
        self.memory.clear_column(worker)

    def _place(self, key: int, in_flight: tuple[int, ...]) -> bool:
        cells = self.memory.cells
        place = next((place for place in self.memory.places(key) if not cells[place]), -1)
        if place < 0:
            return False
        if self.free:
            row = self.free.pop()
        elif cells[USED] < self.memory.capacity:
            row = cells[USED]
            cells[USED] = row + 1
        else:
            return False
        cells[place + 1] = row
        cells[place] = key  # last: a reader that finds the key finds its row
        self.rows[key] = row
        self.in_flight[key] = in_flight
        return True

    def _idle(self, key: int) -> bool:
        row = self.memory.row(self.rows[key], 0)
        return not any(any(row.values(field)) for field in self.in_flight[key])

    def _take_back(self, key: int) -> None:
        cells = self.memory.cells
        for place in self.memory.places(key):
            if cells[place] == key:
                cells[place] = 0
        row = self.rows.pop(key)
        del self.in_flight[key]
        first = self.memory.first_cell(row)
        for cell in range(first, first + FIELDS * self.memory.workers):
            cells[cell] = 0
        self.free.append(row)


class Share:
    """A worker's side. Raises ValueError where the memory is not laid out as this version expects."""

    __slots__ = ("memory", "worker")

    def __init__(self, buffer: memoryview, worker: int) -> None:
        cells = buffer.cast("q")
        if cells[0] != MAGIC or not 0 <= worker < cells[1] or len(buffer) < size_of(cells[1], cells[2]):
            raise ValueError(f"shared counters: not laid out for worker {worker} of this version")
        self.memory = Memory(buffer, cells[1], cells[2])
        self.worker = worker
        self.memory.clear_column(worker)

    def cluster_row(self, cluster: str) -> CounterRow | None:
        return self._row(cluster_key(cluster))

    def host_row(self, cluster: str, address: str, port: int) -> CounterRow | None:
        return self._row(host_key(cluster, address, port))

    def _row(self, key: int) -> CounterRow | None:
        number = self.memory.find(key)
        return self.memory.row(number, self.worker) if number >= 0 else None
