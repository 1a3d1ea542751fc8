from collections import Counter
from math import inf
from random import Random

import pytest
from tests.unit.balance.building import Clock, cluster, endpoint

from nodemesh.balance.group import Group
from nodemesh.balance.outlier import Outcome
from nodemesh.registry.snapshot import Health
from nodemesh.routing.decision import Algorithm, ConnectionPool, Outlier, Priorities, Warmup

EASY = Outlier(max_ejection_percent=100, consecutive_5xx=1)
SIMPLE = [Algorithm.LEAST_REQUEST, Algorithm.ROUND_ROBIN, Algorithm.RANDOM]
STICKY = [Algorithm.RING_HASH, Algorithm.MAGLEV]


def group(endpoints, algorithm=Algorithm.LEAST_REQUEST, *, clock=None, seed=1, **more):
    return Group(cluster(endpoints, algorithm, **more), clock or Clock(), Random(seed))


def shares(group, picks=4000):
    """Percent of picks by the host's number."""
    counts = Counter(group.pick().address for _ in range(picks))
    return {int(address.rpartition(".")[2]): 100.0 * count / picks for address, count in counts.items()}


def eject(group, *numbers):
    for number in numbers:
        group.report(group.by_address[f"10.0.0.{number}", 8080], 500)


@pytest.mark.parametrize("algorithm", SIMPLE)
def test_weights_one_one_two_over_ten_thousand_picks(algorithm):
    some = [endpoint(0), endpoint(1), endpoint(2, weight=2)]
    counts = shares(group(some, algorithm), 10_000)
    for number, share in ((0, 0.25), (1, 0.25), (2, 0.5)):
        assert abs(counts[number] / 100.0 - share) < 3 * (share * (1 - share) / 10_000) ** 0.5


@pytest.mark.parametrize("algorithm", [*SIMPLE, *STICKY])
def test_without_endpoints_there_is_no_upstream(algorithm):
    assert group(0, algorithm).pick(7) is None
    assert group([endpoint(0, health=Health.UNREADY)], algorithm).pick(7) is None


def test_unready_endpoints_get_nothing_even_if_most_are():
    some = [endpoint(number, health=Health.READY if number == 3 else Health.UNREADY) for number in range(4)]
    assert shares(group(some), 50) == {3: 100.0}


def test_terminating_endpoints_serve_only_where_no_ready_one_is_left():
    draining, ready = endpoint(0, health=Health.DRAINING), endpoint(1)
    assert shares(group([draining, ready]), 50) == {1: 100.0}
    assert shares(group([draining, endpoint(1, health=Health.UNREADY)]), 50) == {0: 100.0}


@pytest.mark.parametrize("algorithm", STICKY)
def test_a_key_keeps_its_host(algorithm):
    some = group(5, algorithm, balancer={"table_size": 503})
    assert len({some.pick(99) for _ in range(20)}) == 1
    assert len({some.pick(key * 0x9E3779B97F4A7C15 % 2**64) for key in range(200)}) == 5


@pytest.mark.parametrize("algorithm", STICKY)
def test_without_a_key_hashing_picks_at_random(algorithm):
    assert len(shares(group(4, algorithm, balancer={"table_size": 503}), 500)) == 4


@pytest.mark.parametrize("algorithm", STICKY)
def test_a_retry_stays_with_its_hash(algorithm):
    some = group(5, algorithm, balancer={"table_size": 503})
    first = some.pick(99)
    assert some.pick(99) is first  # where its hosts before are not to be left


@pytest.mark.parametrize("algorithm", SIMPLE)
def test_a_retry_goes_elsewhere(algorithm):
    some = group(4, algorithm)
    avoided = 0
    for _ in range(100):
        first = some.pick()
        avoided += some.pick(None, [first]) is not first
    assert avoided >= 98  # five further draws of four hosts may all fail


def test_a_retry_takes_the_only_host_again():
    some = group(1)
    first = some.pick()
    assert some.pick(None, [first]) is first


def test_ejected_hosts_are_not_picked_until_they_return():
    clock = Clock()
    some = group(4, outlier=EASY, clock=clock)
    eject(some, 0, 2)
    assert set(shares(some, 200)) == {1, 3}
    clock.advance(10.0)
    some.sweep(clock())
    assert set(shares(some, 200)) == {1, 3}
    clock.advance(20.0)
    some.sweep(clock())
    assert set(shares(some, 200)) == {0, 1, 2, 3}


def test_all_ejected_without_panic_is_no_upstream():
    some = group(2, outlier=EASY)
    eject(some, 0, 1)
    assert some.pick() is None


def test_panic_disregards_ejections_but_not_readiness():
    some = [*(endpoint(number) for number in range(4)), endpoint(4, health=Health.UNREADY)]
    some = group(some, outlier=Outlier(max_ejection_percent=100, consecutive_5xx=1, min_health_percent=50))
    eject(some, 0)
    assert set(shares(some, 200)) == {1, 2, 3}  # 3 of 5
    eject(some, 1)
    assert set(shares(some, 200)) == {0, 1, 2, 3}  # 2 of 5 are too few


def test_in_total_panic_each_priority_gets_load_by_its_ready_hosts():
    some = [endpoint(0, health=Health.UNREADY), *(endpoint(number) for number in range(1, 5))]
    outlier = Outlier(max_ejection_percent=100, consecutive_5xx=1, min_health_percent=50)
    some = group(some, outlier=outlier, priorities=Priorities(levels=((0,), (1,), (2, 3, 4))))
    eject(some, 1, 2, 3, 4)
    counts = shares(some)
    assert counts[1] == pytest.approx(25, abs=3)
    assert sum(counts.values()) == pytest.approx(100)


def test_other_outcomes_are_reported_too():
    some = group(2, outlier=EASY)
    some.report(some.hosts[0], 0, Outcome.CONNECT_FAILED)
    assert some.hosts[0].ejected


def test_without_outlier_detection_nothing_is_ejected():
    some = group(2)
    for _ in range(50):
        eject(some, 0)
    assert set(shares(some, 100)) == {0, 1}
    assert some.next_sweep == inf


LEVELS = Priorities(levels=((0, 1, 2, 3), (4, 5, 6, 7)))


@pytest.mark.parametrize(
    ("ejected", "expected"),
    [
        ((), 100),
        ((0,), 100),  # 75 % of 140 is more than enough
        ((0, 1), 70),
        ((0, 1, 2), 35),
        ((0, 1, 2, 3), 0),
        ((0, 1, 2, 4, 5, 6), 50),  # 35 and 35 of 70
    ],
)
def test_load_spills_to_the_next_priority(ejected, expected):
    some = group(8, outlier=EASY, priorities=LEVELS)
    eject(some, *ejected)
    assert sum(share for number, share in shares(some).items() if number < 4) == pytest.approx(expected, abs=3)


def test_hashing_keeps_a_keys_priority_too():
    some = group(8, Algorithm.RING_HASH, outlier=EASY, priorities=LEVELS)
    eject(some, 0, 1)
    firsts = {key: some.pick(key) for key in range(0, 2**64, 2**64 // 300)}
    assert {host.priority for host in firsts.values()} == {0, 1}
    assert all(some.pick(key) is host for key, host in firsts.items())


@pytest.mark.parametrize("algorithm", STICKY)
def test_a_hash_goes_on_to_other_hosts_where_those_before_are_to_be_left(algorithm):
    some = group(8, algorithm)
    for key in range(0, 2**64, 2**57):
        first = some.pick(key)
        others = [some.pick(key, [first]) for _ in range(3)]
        assert len(set(others)) == 1 and others[0] is not first  # another one, and always the same
        assert some.pick(key) is first
    alone = group(1, algorithm)
    assert alone.pick(7, [alone.pick(7)]) is alone.pick(7)


def test_retries_leave_the_priorities_that_were_tried():
    some = group(8, priorities=LEVELS)
    near = some.hosts[:4]
    assert some.pick(None, near[:1], remote=True).priority == 0
    assert {some.pick(None, near[:2], remote=True).priority for _ in range(50)} == {1}
    assert {some.pick(None, near[:2]).priority for _ in range(50)} == {0}
    everywhere = [*near[:2], *some.hosts[4:6]]
    assert {some.pick(None, everywhere, remote=True).priority for _ in range(50)} == {0}


SHARES = Priorities(levels=((0, 1, 2, 3),), shares=((80, (0, 1)), (20, (2, 3))))


@pytest.mark.parametrize("algorithm", [*SIMPLE, Algorithm.RING_HASH])
def test_distribute_draws_localities_by_weight(algorithm):
    counts = shares(group(4, algorithm, priorities=SHARES))
    assert counts[0] + counts[1] == pytest.approx(80, abs=5)


def test_a_weakened_locality_gets_less():
    some = group(4, priorities=SHARES, outlier=EASY)
    eject(some, 0)  # 80 * 0.7 against 20
    assert shares(some)[1] == pytest.approx(100 * 56 / 76, abs=3)
    eject(some, 1)
    assert set(shares(some, 100)) == {2, 3}


def test_endpoints_that_no_priority_names_get_nothing():
    assert set(shares(group(4, priorities=Priorities(levels=((1, 2),))), 100)) == {1, 2}
    assert group(4, priorities=Priorities(levels=((),))).pick() is None


def test_update_keeps_the_state_of_those_that_stay():
    some = group(4, outlier=EASY)
    stays, leaves = some.hosts[1], some.hosts[0]
    stays.pool = "connections"
    stays.begin()
    eject(some, 0, 1)
    gone = some.update(cluster([endpoint(number, weight=2) for number in (1, 2, 5)], outlier=EASY))
    assert {host.address for host in gone} == {"10.0.0.0", "10.0.0.3"}
    assert leaves in gone
    assert not leaves.ejected
    assert some.by_address["10.0.0.1", 8080] is stays
    assert (stays.pool, stays.load, stays.weight, stays.ejected) == ("connections", 1, 2, True)
    assert set(shares(some, 100)) == {2, 5}


def test_update_takes_new_policies():
    some = group(2)
    some.update(cluster(2, outlier=EASY, pool=ConnectionPool(max_requests=1)))
    assert some.limits.requests.try_acquire()
    assert not some.limits.requests.try_acquire()
    eject(some, 0)
    assert set(shares(some, 50)) == {1}
    some.update(cluster(2))
    assert set(shares(some, 50)) == {0, 1}


def test_the_same_address_twice_is_one_host():
    some = group([endpoint(0), endpoint(0), endpoint(1)], priorities=Priorities(levels=((0, 1), (2,))))
    assert len(some.hosts) == 2
    assert shares(some, 50) == {0: 100.0}


def test_closing_gives_everyone_up():
    some = group(2, outlier=EASY, priorities=Priorities(levels=((0,), (1,))))
    some.pick()
    some.pick_address("192.0.2.1", 80)
    assert len(some.close()) == 3
    assert some.pick() is None
    assert some.next_sweep == inf


def test_only_newcomers_warm_up():
    clock = Clock()
    warm = {"warmup": Warmup(duration=100.0)}
    some = group(2, balancer=warm, clock=clock)
    assert shares(some)[0] == pytest.approx(50, abs=3)
    some.update(cluster(3, balancer=warm))
    clock.advance(1.0)
    assert shares(some, 1000)[2] == pytest.approx(100 * 0.1 / 2.1, abs=1)
    clock.advance(49.0)
    assert shares(some, 1000)[2] == pytest.approx(20, abs=2)
    clock.advance(60.0)
    assert shares(some)[2] == pytest.approx(33.3, abs=3)


def test_an_endpoint_that_becomes_ready_warms_up():
    clock = Clock()
    warm = {"warmup": Warmup(duration=100.0)}
    some = group([endpoint(0), endpoint(1, health=Health.UNREADY)], balancer=warm, clock=clock)
    clock.advance(500.0)
    some.update(cluster(2, balancer=warm))
    assert shares(some, 1000)[1] == pytest.approx(100 * 0.1 / 1.1, abs=1)


def test_a_dialled_address_is_its_own_host_until_unused():
    clock = Clock()
    some = group(1, Algorithm.PASSTHROUGH, clock=clock)
    assert some.pick_address("10.0.0.0", 8080) is some.hosts[0]
    dialled = some.pick_address("192.0.2.1", 443)
    assert some.pick_address("192.0.2.1", 443) is dialled
    assert some.next_sweep == clock() + 5.0
    dialled.begin()
    clock.advance(6.0)
    assert some.sweep(clock()) == []  # in use
    dialled.end()
    clock.advance(6.0)
    assert some.sweep(clock()) == [dialled]
    assert some.next_sweep == inf
    assert some.pick_address("192.0.2.1", 443) is not dialled


def test_sweeps_happen_when_due():
    clock = Clock()
    some = group(2, outlier=EASY, clock=clock)
    eject(some, 0)
    assert some.next_sweep == clock() + 10.0
    clock.advance(30.0)
    assert some.sweep(some.next_sweep - 0.1) == []
    assert some.hosts[0].ejected
    some.sweep(clock())
    assert not some.hosts[0].ejected
    assert some.next_sweep == clock() + 10.0


def test_late_reports_on_hosts_that_left_eject_nobody():
    some = group(2, outlier=EASY)
    gone = some.hosts[0]
    some.update(cluster(0, outlier=EASY))
    some.report(gone, 500)
    assert not gone.ejected


def test_dialled_addresses_are_not_ejected():
    some = group(0, Algorithm.PASSTHROUGH, outlier=EASY)
    dialled = some.pick_address("192.0.2.1", 80)
    some.report(dialled, 500)
    assert not dialled.ejected


def test_an_endpoint_that_is_about_to_go_is_picked_no_more_until_the_configuration_has_it_again():
    endpoints = [endpoint(1), endpoint(2)]
    found = group(endpoints, Algorithm.ROUND_ROBIN)
    assert set(shares(found)) == {1, 2}
    found.retire(frozenset({"10.0.0.1"}))
    assert set(shares(found)) == {2}
    found.update(cluster([endpoints[0], endpoint(3)], Algorithm.ROUND_ROBIN))
    assert set(shares(found)) == {1, 3}, "another pod may have the address by now"


def test_the_last_endpoint_serves_until_it_is_gone():
    found = group([endpoint(1)])
    found.retire(frozenset({"10.0.0.1"}))
    assert set(shares(found)) == {1}


def reserved(own, others, algorithm=Algorithm.LEAST_REQUEST, **more):
    """A subset's group with the service's other endpoints in reserve."""
    return group(own, algorithm, reserve=tuple(others), **more)


@pytest.mark.parametrize("algorithm", [*SIMPLE, *STICKY, Algorithm.PEAK_EWMA])
def test_the_reserve_serves_as_long_as_nobody_else_does(algorithm):
    more = {"balancer": {"table_size": 503}, "outlier": EASY}
    some = reserved([endpoint(0), endpoint(1)], [endpoint(2), endpoint(3)], algorithm, **more)
    assert shares(some, 200).keys() <= {0, 1}
    eject(some, 0)
    assert shares(some, 50).keys() == {1}
    eject(some, 1)
    assert shares(some, 200).keys() <= {2, 3}
    some.clock.advance(41)
    some.sweep(some.clock.now)
    assert shares(some, 200).keys() <= {0, 1}


def test_the_reserve_serves_before_endpoints_that_leave():
    leaving = [endpoint(0, health=Health.DRAINING)]
    assert shares(reserved(leaving, [endpoint(1)]), 20) == {1: 100.0}
    assert shares(reserved(leaving, [endpoint(1, health=Health.UNREADY)]), 20) == {0: 100.0}
    assert shares(reserved([], [endpoint(1)]), 20) == {1: 100.0}
    assert reserved([], []).pick() is None


def test_the_reserve_has_no_part_in_localities():
    priorities = Priorities(levels=((0, 1),), shares=((80, (0,)), (20, (1,))))
    some = reserved(2, [endpoint(2)], priorities=priorities, outlier=EASY)
    eject(some, 0, 1)
    assert shares(some, 20) == {2: 100.0}


def test_what_is_in_reserve_keeps_its_state_when_it_is_chosen():
    some = reserved([endpoint(0)], [endpoint(1)])
    chosen, reserve = some.hosts
    assert some.update(cluster([endpoint(1)])) == [chosen]
    assert some.hosts == [reserve]


def test_only_peak_ewma_wants_to_know_how_long_hosts_take():
    assert group(1, Algorithm.PEAK_EWMA).timed
    assert not group(1, Algorithm.LEAST_REQUEST).timed
