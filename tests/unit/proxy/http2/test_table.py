"""The static table against hpack's, and a dynamic one's order, size and eviction."""

from __future__ import annotations

from random import Random

from hpack.table import HeaderTable

from nodemesh.proxy.http2.field import Field
from nodemesh.proxy.http2.table import STATIC, STATIC_PAIRS, STATIC_SIZE, Table


def entry(letter: str, size: int = 40) -> Field:
    return Field(letter.encode(), b"v" * (size - 33))


def test_the_static_table_is_the_rfcs():
    assert tuple(STATIC_PAIRS) == tuple(HeaderTable.STATIC_TABLE) and len(STATIC_PAIRS) == STATIC_SIZE
    assert [field.name for field in STATIC[1:]] == [name for name, _ in STATIC_PAIRS]


def test_indices_begin_with_the_newest():
    table = Table(100)
    table.add(entry("a"))
    table.add(entry("b"))
    assert table.get(62).name == b"b" and table.get(63).name == b"a"
    assert table.get(64) is None and table.get(0) is None
    assert table.get(2).pair == (b":method", b"GET")


def test_the_oldest_go_first():
    table = Table(100)
    for letter in "abc":
        table.add(entry(letter))
    assert [field.name for field in table.entries] == [b"b", b"c"] and table.size == 80
    table.add(entry("d", 61))
    assert [field.name for field in table.entries] == [b"d"] and table.size == 61


def test_an_entry_larger_than_the_table_empties_it():
    table = Table(100)
    table.add(entry("a"))
    table.add(entry("b", 101))
    assert table.entries == [] and table.size == 0
    table.add(entry("c", 100))
    assert table.size == 100


def test_a_lower_limit_evicts():
    table = Table(100)
    table.add(entry("a"))
    table.add(entry("b"))
    table.resize(40)
    assert [field.name for field in table.entries] == [b"b"]
    table.resize(0)
    assert table.entries == [] and table.size == 0


def test_several_at_once_are_as_one_after_the_other():
    rng = Random(1)
    for _ in range(300):
        limit = rng.randrange(0, 400)
        single, together = Table(limit), Table(limit)
        for _ in range(4):
            fields = [entry(f"{number}", rng.randrange(33, 200)) for number in range(rng.randrange(1, 6))]
            version = together.version
            for field in fields:
                single.add(field)
            together.extend(fields, sum(field.size for field in fields))
            assert together.entries == single.entries and together.size == single.size <= limit
            assert together.version > version
