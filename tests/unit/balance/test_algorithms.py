from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from tests.unit.balance.building import Clock, endpoint

from nodemesh.balance.algorithms import LeastRequest, RandomChoice, RoundRobin, Schedule, balancer, warmth
from nodemesh.balance.host import DECAY, Host
from nodemesh.balance.rows import private_row
from nodemesh.routing.decision import Algorithm, Warmup


def hosts(*weights):
    return [Host(endpoint(index, weight=weight), private_row(), 0.0) for index, weight in enumerate(weights)]


def make(algorithm, some, *, seed=1, warmup=None, clock=None):
    return balancer(algorithm, some, Random(seed), clock or Clock(), warmup)


def test_round_robin_goes_round():
    some = hosts(1, 1, 1)
    robin = make(Algorithm.ROUND_ROBIN, some)
    picks = [robin.pick(0) for _ in range(6)]
    assert picks[:3] == picks[3:]
    assert set(picks) == set(some)


def test_round_robin_starts_anywhere():
    some = hosts(1, 1, 1, 1)
    assert {make(Algorithm.ROUND_ROBIN, some, seed=seed).pick(0) for seed in range(40)} == set(some)


def test_weighted_round_robin_is_exact_and_smooth():
    some = hosts(1, 1, 2)
    robin = make(Algorithm.ROUND_ROBIN, some)
    picks = [robin.pick(0) for _ in range(400)]
    assert [picks.count(host) for host in some] == [100, 100, 200]
    places = [index for index, host in enumerate(picks) if host is some[2]]
    assert max(later - earlier for earlier, later in pairwise(places)) <= 3


def test_least_request_prefers_the_less_loaded():
    some = hosts(1, 1)
    for _ in range(3):
        some[0].begin()
    counts = Counter(make(Algorithm.LEAST_REQUEST, some, seed=seed).pick(0).address for seed in range(400))
    # the loaded one wins only when both draws fall on it
    assert 0.15 < counts["10.0.0.0"] / 400 < 0.35


def test_least_request_with_weights_shares_by_weight_over_load():
    some = hosts(1, 3)
    some[1].begin()
    some[1].begin()  # 3 / (2 + 1) is the other's weight
    schedule = make(Algorithm.LEAST_REQUEST, some)
    picks = [schedule.pick(0) for _ in range(200)]
    assert abs(picks.count(some[0]) - 100) <= 1


def peak_ewma(some, clock, *, seed=1, warmup=None):
    return make(Algorithm.PEAK_EWMA, some, seed=seed, clock=clock, warmup=warmup)


def test_peak_ewma_takes_of_two_the_one_with_less_latency_and_load():
    clock = Clock()
    some = hosts(1, 1)
    some[0].observe(0.1, clock.now)
    some[1].observe(0.3, clock.now)
    balancer = peak_ewma(some, clock)
    assert {balancer.pick(0) for _ in range(50)} == {some[0]}
    for _ in range(2):
        some[0].begin()  # 0.1 x 3 is no less than 0.3 x 1
    some[0].begin()
    assert {balancer.pick(0) for _ in range(50)} == {some[1]}


def test_peak_ewma_divides_by_weight_and_warmth():
    clock = Clock(100.0)
    some = hosts(1, 4)
    some[0].observe(0.1, clock.now)
    some[1].observe(0.3, clock.now)
    assert {peak_ewma(some, clock).pick(0) for _ in range(50)} == {some[1]}
    fresh = hosts(1, 1)
    for host in fresh:
        host.observe(0.1, clock.now)
    fresh[0].ready_since = clock.now - 1.0
    assert {peak_ewma(fresh, clock, warmup=Warmup(duration=10.0)).pick(0) for _ in range(50)} == {fresh[1]}


def test_peak_ewma_draws_two_different_ones_and_all_alike_where_they_are_alike():
    clock = Clock()
    some = hosts(1, 1, 1)
    for host in some:
        host.observe(0.1, clock.now)
    balancer = peak_ewma(some, clock)
    counts = Counter(balancer.pick(0) for _ in range(3000))
    assert min(counts.values()) > 900
    some[2].observe(0.2, clock.now)
    assert some[2] not in {balancer.pick(0) for _ in range(200)}  # never both draws
    assert peak_ewma(some[:1], clock).pick(0) is some[0] and peak_ewma([], clock).pick(0) is None


def test_a_slow_endpoint_is_tried_again_once_it_is_forgotten():
    clock = Clock()
    some = hosts(1, 1)
    balancer = peak_ewma(some, clock)
    some[0].observe(2.0, clock.now)
    for _ in range(200):
        host = balancer.pick(0)
        if host is some[0]:
            break
        host.observe(0.05, clock.now)
        clock.advance(0.5)
    assert host is some[0]
    assert 2.0 * DECAY < clock.now - 1000.0 < 5.0 * DECAY  # 2 s are 0.05 s after 3.7 time constants


def test_random_follows_weights():
    some = hosts(1, 1, 2)
    choice = make(Algorithm.RANDOM, some)
    counts = Counter(choice.pick(0).address for _ in range(10_000))
    for host, share in zip(some, (0.25, 0.25, 0.5), strict=True):
        assert abs(counts[host.address] - 10_000 * share) < 3 * (10_000 * share * (1 - share)) ** 0.5


@pytest.mark.parametrize(
    ("algorithm", "weights", "kind"),
    [
        (Algorithm.ROUND_ROBIN, (1, 1), RoundRobin),
        (Algorithm.ROUND_ROBIN, (1, 2), Schedule),
        (Algorithm.LEAST_REQUEST, (2, 2), LeastRequest),
        (Algorithm.LEAST_REQUEST, (1, 2), Schedule),
        (Algorithm.LEAST_REQUEST, (5,), LeastRequest),
        (Algorithm.RANDOM, (1, 2), RandomChoice),
        (Algorithm.PASSTHROUGH, (1, 1), LeastRequest),
    ],
)
def test_weights_decide_whether_a_schedule_is_needed(algorithm, weights, kind):
    assert type(make(algorithm, hosts(*weights))) is kind


@pytest.mark.parametrize("algorithm", [Algorithm.ROUND_ROBIN, Algorithm.LEAST_REQUEST, Algorithm.RANDOM])
def test_without_hosts_nobody_is_picked(algorithm):
    assert make(algorithm, []).pick(0) is None


@pytest.mark.parametrize(
    ("age", "aggression", "expected"),
    [(0, 1, 0.1), (5, 1, 0.1), (30, 1, 0.5), (60, 1, 1.0), (600, 1, 1.0), (15, 2, 0.5), (30, 0.5, 0.25)],
)
def test_warmth_grows_as_envoys_slow_start(age, aggression, expected):
    warmup = Warmup(duration=60.0, aggression=aggression)
    assert warmth(warmup, age) == pytest.approx(expected)


def test_a_warming_host_gets_its_growing_share():
    clock = Clock(0.0)
    some = hosts(1, 1)
    some[0].ready_since = -1e9
    some[1].ready_since = 0.0
    schedule = make(Algorithm.ROUND_ROBIN, some, warmup=Warmup(duration=100.0), clock=clock)
    clock.advance(25.0)
    schedule.pick(0), schedule.pick(0)
    picks = [schedule.pick(0) for _ in range(500)]
    assert picks.count(some[1]) / 500 == pytest.approx(0.2, abs=0.02)
