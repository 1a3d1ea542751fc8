"""Which requests a fault hits."""

from random import Random

import pytest

from nodemesh.proxy.http.fault import delay_of, hits, is_aborted
from nodemesh.routing.decision import Fault


def test_all_and_none_need_no_luck():
    assert all(hits(100.0, Random(seed)) for seed in range(50))
    assert not any(hits(0.0, Random(seed)) for seed in range(50))


@pytest.mark.parametrize("percent", [10.0, 0.5])
def test_a_share_is_hit(percent):
    rng, rolls = Random(1), 40_000
    expected = rolls * percent / 100.0
    count = sum(hits(percent, rng) for _ in range(rolls))
    assert count == pytest.approx(expected, abs=4 * expected**0.5)


def test_the_smallest_share_is_not_nothing():
    class Low(Random):
        def random(self) -> float:
            return 0.0000009

    assert hits(0.0001, Low()) and not hits(0.00008, Low())


def test_delay_and_abort_are_apart():
    rng = Random(1)
    assert delay_of(Fault(delay=2.0, delay_percent=100.0), rng) == 2.0
    assert delay_of(Fault(delay=2.0, delay_percent=0.0), rng) == 0.0
    assert is_aborted(Fault(abort_status=503, abort_percent=100.0), rng)
    assert is_aborted(Fault(abort_grpc=0, abort_percent=100.0), rng)
    assert not is_aborted(Fault(delay=2.0, delay_percent=100.0, abort_percent=100.0), rng)
