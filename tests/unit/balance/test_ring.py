from collections import Counter
from random import Random

import pytest
from tests.unit.balance.building import endpoint

from nodemesh.balance.host import Host
from nodemesh.balance.ring import Ring, point_counts
from nodemesh.balance.rows import private_row


def hosts(count):
    return [Host(endpoint(number), private_row(), 0.0) for number in range(count)]


def keys(count):
    rng = Random(4)
    return [rng.getrandbits(64) for _ in range(count)]


def test_one_of_ten_leaving_moves_at_most_15_percent_of_the_keys():
    ten = hosts(10)
    before = Ring(ten, 1024, [1.0] * 10)
    for gone in range(10):
        after = Ring(ten[:gone] + ten[gone + 1 :], 1024, [1.0] * 9)
        moved = sum(before.pick(key) is not after.pick(key) for key in keys(2000))
        assert 0 < moved <= 0.15 * 2000


def test_only_the_keys_of_a_host_that_left_move():
    four = hosts(4)
    before = Ring(four, 1024, [1.0] * 4)
    after = Ring(four[:3], 1024, [1.0] * 3)
    for key in keys(2000):
        assert before.pick(key) in (after.pick(key), four[3])


def test_every_worker_builds_the_same_ring():
    one, other = Ring(hosts(5), 1024, [1.0] * 5), Ring(hosts(5)[::-1], 1024, [1.0] * 5)
    assert all(one.pick(key).address == other.pick(key).address for key in keys(200))


def test_keys_spread_by_weight():
    ring = Ring(hosts(3), 4096, [1.0, 1.0, 2.0])
    counts = Counter(ring.pick(key).address for key in keys(8000))
    assert 0.4 < counts["10.0.0.2"] / 8000 < 0.6


def test_a_key_goes_to_the_next_point():
    ring = Ring(hosts(3), 64, [1.0] * 3)
    assert ring.pick(ring.points[5]) is ring.pick(ring.points[4] + 1) is ring.owners[5]


def test_the_largest_key_wraps_to_the_first_point():
    ring = Ring(hosts(3), 64, [1.0] * 3)
    assert ring.pick(2**64 - 1) is ring.pick(0)


def test_an_empty_ring_has_nobody():
    assert Ring([], 1024, []).pick(1) is None


@pytest.mark.parametrize(
    ("weights", "minimum", "expected"),
    [
        ([1.0] * 4, 1024, [1024] * 4),
        ([1.0, 3.0], 1024, [1024, 3072]),
        ([1.0] * 3, 1, [1, 1, 1]),
        ([1.0] * 64, 1024, [512] * 64),  # a large group has the room of 32
        ([1.0] * 64, 65536, [1024] * 64),  # the minimum is kept
        ([1.0, 1023.0], 64, [32, 32_736]),  # a heavy one does not make the ring larger
        ([], 1024, []),
    ],
)
def test_points_are_in_proportion_to_weight_and_bounded(weights, minimum, expected):
    assert point_counts(weights, minimum) == expected
