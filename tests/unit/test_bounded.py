"""What is remembered by keys from outside has a bound in number, and one for each key."""

import pytest

from nodemesh.bounded import Bounded


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_holds_so_many_and_no_more(limit):
    memory = Bounded(limit)
    for number in range(3 * limit + 1):
        assert memory.keep(number, str(number)) == str(number)
        assert memory.found[number] == str(number)
        assert len(memory.found) <= limit


def test_starts_over_when_it_is_full():
    memory = Bounded(2)
    memory.keep("a", 1)
    memory.keep("b", 2)
    memory.found.get("a")  # which gives it no longer life
    memory.keep("c", 3)
    assert memory.found == {"c": 3}


def test_longer_keys_have_no_place_and_take_none():
    memory = Bounded(2, 3)
    memory.keep(b"abc", 1, 3)
    memory.keep(b"x", 2, 1)
    assert memory.keep(b"abcd", 3, 4) == 3
    assert memory.found == {b"abc": 1, b"x": 2}


def test_nothing_is_a_value_too():
    memory = Bounded(2)
    assert memory.keep("a", None) is None
    assert "a" in memory.found
