from nodemesh.balance.rows import CELL, FIELDS, CounterRow, private_row


def test_a_worker_writes_its_own_cell_and_reads_the_sum():
    buffer = memoryview(bytearray(2 * FIELDS * 3 * CELL))
    offset = FIELDS * 3 * CELL  # the second row
    rows = [CounterRow(buffer, buffer.cast("q"), offset, 3, worker) for worker in range(3)]
    for worker, row in enumerate(rows):
        row.set(2, 10 + worker)
    rows[1].add(2, -1)
    assert [row.own(2) for row in rows] == [10, 10, 12]
    assert [row.total(2) for row in rows] == [32, 32, 32]
    assert rows[0].values(2) == (10, 10, 12)
    assert rows[0].total(1) == rows[0].total(3) == 0
    assert not any(buffer[:offset])


def test_a_private_row_counts_alone():
    row = private_row()
    for field in range(FIELDS):
        row.add(field, field + 1)
    assert [row.total(field) for field in range(FIELDS)] == list(range(1, FIELDS + 1))
    assert row.values(3) == (4,)
