from collections import Counter

import pytest
from tests.unit.balance.building import endpoint

from nodemesh.balance.host import Host
from nodemesh.balance.maglev import DEFAULT_SIZE, MAX_SIZE, Maglev, build, usable_size
from nodemesh.balance.rows import private_row


def hosts(count):
    return [Host(endpoint(number), private_row(), 0.0) for number in range(count)]


def test_every_host_owns_nearly_equally_many_entries():
    counts = Counter(build(hosts(7), 5003, [1.0] * 7))
    assert sum(counts.values()) == 5003
    assert max(counts.values()) - min(counts.values()) <= 1


def test_entries_follow_weights():
    counts = Counter(build(hosts(3), 5003, [1.0, 1.0, 2.0]))
    assert counts[2] / 5003 == pytest.approx(0.5, abs=0.01)
    assert counts[0] / 5003 == pytest.approx(0.25, abs=0.01)


def test_a_leaving_host_disturbs_few_others():
    ten = hosts(10)
    before = Maglev(ten, 5003, [1.0] * 10)
    after = Maglev(ten[:3] + ten[4:], 5003, [1.0] * 9)
    moved = sum(before.pick(key) is not after.pick(key) for key in range(5003))
    assert 500 <= moved <= 0.2 * 5003  # its own tenth, and some


def test_an_empty_table_has_nobody():
    assert Maglev([], 5003, []).pick(1) is None


@pytest.mark.parametrize(
    ("size", "used"), [(65_537, 65_537), (101, 101), (100, DEFAULT_SIZE), (1, DEFAULT_SIZE), (4_999_999, MAX_SIZE)]
)
def test_only_prime_sizes_within_bounds_are_used(size, used):
    assert usable_size(size) == used
