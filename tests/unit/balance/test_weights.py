from collections import Counter
from random import Random

from nodemesh.balance.weights import choose
from nodemesh.routing.decision import WeightedCluster


def destinations(*weights):
    return tuple(
        WeightedCluster(cluster=None, cluster_name=f"d{index}", weight=weight) for index, weight in enumerate(weights)
    )


class Rolls(Random):
    """Random numbers that are known beforehand."""

    def __init__(self, *rolls):
        super().__init__()
        self.rolls = list(rolls)

    def random(self):
        return self.rolls.pop(0)


def test_shares_are_cumulative_in_the_order_of_the_configuration():
    some, rng = destinations(1, 1, 2), Rolls(0.0, 0.24, 0.25, 0.49, 0.5, 0.999)
    assert [choose(some, 4, rng).cluster_name for _ in range(6)] == ["d0", "d0", "d1", "d1", "d2", "d2"]


def test_ten_thousand_draws_keep_within_three_sigma():
    rng = Random(20)
    some = destinations(1, 1, 2)
    counts = Counter(choose(some, 4, rng).cluster_name for _ in range(10_000))
    for name, share in (("d0", 0.25), ("d1", 0.25), ("d2", 0.5)):
        sigma = (10_000 * share * (1 - share)) ** 0.5
        assert abs(counts[name] - 10_000 * share) < 3 * sigma


def test_a_single_destination_gets_all_whatever_its_weight():
    assert choose(destinations(0), 0, Rolls()).cluster_name == "d0"


def test_a_weight_of_zero_gets_nothing():
    some = destinations(0, 3)
    assert {choose(some, 3, Rolls(roll / 9)).cluster_name for roll in range(9)} == {"d1"}
