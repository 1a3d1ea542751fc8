"""Weights become slots: exact where they fit, near where not, evenly mixed."""

from collections import Counter
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.datapath.maps import Backend, pack_address
from nodemesh.datapath.slots import AFFINE_SLOTS, REFUSED4, REFUSED6, apportion, mix, rendezvous, slots
from nodemesh.registry.snapshot import Endpoint, Health
from nodemesh.routing.decision import Cluster, Priorities, Route, WeightedCluster


def backend(number, port=80):
    return Backend(pack_address(f"10.0.0.{number}"), port)


def cluster(*endpoints, priorities=None):
    return Cluster(name="c", key="c", host="h", port=80, endpoints=endpoints, priorities=priorities)


def endpoint(number, **changes):
    return Endpoint(**{"address": f"10.0.0.{number}", "port": 80, **changes})


def route(*destinations):
    weighted = tuple(WeightedCluster(cluster=one, cluster_name="c", weight=weight) for one, weight in destinations)
    return Route(destinations=weighted, total_weight=sum(weight for _, weight in destinations))


def test_weights_of_destinations_are_shared_by_their_endpoints():
    """90 to three endpoints, 10 to one: 30, 30, 30 and 10."""
    found = slots(route((cluster(*map(endpoint, (1, 2, 3))), 90), (cluster(endpoint(4)), 10)), v4=True)
    assert Counter(found) == {backend(1): 3, backend(2): 3, backend(3): 3, backend(4): 1}


def test_those_that_are_out_get_nothing_as_long_as_others_remain():
    both = route((cluster(endpoint(1), endpoint(2)), 100))
    assert slots(both, True, frozenset({backend(1)})) == (backend(2),)
    assert Counter(slots(both, True, frozenset({backend(1), backend(2)}))) == {backend(1): 1, backend(2): 1}


def test_an_endpoint_of_two_destinations_adds_up():
    found = slots(route((cluster(endpoint(1), endpoint(2)), 50), (cluster(endpoint(1)), 50)), v4=True)
    assert Counter(found) == {backend(1): 3, backend(2): 1}


def test_endpoints_own_weights_count_and_a_weight_of_nothing_gets_nothing():
    found = slots(route((cluster(endpoint(1, weight=3), endpoint(2)), 100), (cluster(endpoint(3)), 0)), v4=True)
    assert Counter(found) == {backend(1): 3, backend(2): 1}


def test_a_destination_without_endpoints_keeps_its_share_as_refusals():
    found = slots(route((cluster(endpoint(1)), 75), (None, 25)), v4=True)
    assert Counter(found) == {backend(1): 3, REFUSED4: 1}
    unready = cluster(endpoint(1, health=Health.UNREADY))
    assert slots(route((unready, 100)), v4=False) == (REFUSED6,)


def test_families_keep_to_themselves_and_v6_falls_back_to_v4():
    both = cluster(endpoint(1), Endpoint(address="fd00::1", port=80))
    assert slots(route((both, 1)), v4=True) == (backend(1),)
    assert slots(route((both, 1)), v4=False) == (Backend(pack_address("fd00::1"), 80),)
    assert slots(route((cluster(endpoint(1)), 1)), v4=False) == (backend(1),)
    assert slots(route((cluster(Endpoint(address="fd00::1", port=80)), 1)), v4=True) == (REFUSED4,)


def test_host_names_are_left_out():
    assert slots(route((cluster(endpoint(1), endpoint(2, address="a.example")), 1)), v4=True) == (backend(1),)


def test_the_first_priority_with_ready_endpoints_serves():
    levels = Priorities(levels=((0,), (1, 2)))
    dead = cluster(endpoint(1, health=Health.UNREADY), endpoint(2), endpoint(3), priorities=levels)
    assert Counter(slots(route((dead, 1)), v4=True)) == {backend(2): 1, backend(3): 1}


def test_locality_shares_are_kept():
    shares = Priorities(levels=((0, 1, 2),), shares=((80, (0,)), (20, (1, 2))))
    found = slots(route((cluster(*map(endpoint, (1, 2, 3)), priorities=shares), 1)), v4=True)
    assert Counter(found) == {backend(1): 8, backend(2): 1, backend(3): 1}


def test_turns_alternate():
    assert mix({backend(1): 2, backend(2): 2}) == (backend(1), backend(2), backend(1), backend(2))


@given(st.dictionaries(st.integers(1, 200), st.integers(1, 10**6), min_size=1, max_size=60), st.integers(1, 100))
def test_slots_stay_within_the_limit_and_near_the_shares(weights, limit):
    shares = {backend(number): Fraction(weight) for number, weight in weights.items()}
    counts = apportion(shares, limit)
    total = sum(counts.values())
    assert total <= limit
    assert all(count >= 1 for count in counts.values())
    if len(shares) <= limit:
        assert set(counts) == set(shares)
    else:
        assert total == limit
    for one, count in counts.items():
        exact = shares[one] / sum(shares.values())
        assert abs(Fraction(count, total) - exact) <= Fraction(len(shares) + 1, total)


@given(st.dictionaries(st.integers(1, 200), st.integers(1, 30), min_size=1, max_size=20))
def test_mixing_keeps_the_counts_and_does_not_depend_on_order(weights):
    counts = {backend(number): weight for number, weight in weights.items()}
    assert Counter(mix(counts)) == counts
    assert mix(counts) == mix(dict(reversed(counts.items())))


def test_endpoints_that_end_serve_while_no_other_is_ready():
    ending = endpoint(1, health=Health.DRAINING)
    assert slots(route((cluster(ending, endpoint(2)), 100)), v4=True) == (backend(2),)
    assert slots(route((cluster(ending, endpoint(2, health=Health.UNREADY)), 100)), v4=True) == (backend(1),)


@given(st.dictionaries(st.integers(1, 250).map(backend), st.integers(1, 3), min_size=2, max_size=8), st.data())
def test_of_an_affine_service_only_the_slots_of_who_goes_change_hands(counts, data):
    """A client keeps its endpoint for as long as that is there."""
    before = rendezvous(counts)
    assert len(before) == AFFINE_SLOTS
    gone = data.draw(st.sampled_from(sorted(counts)))
    after = rendezvous({one: count for one, count in counts.items() if one != gone})
    if len(counts) == 2:
        after *= AFFINE_SLOTS
    assert all(new == old for new, old in zip(after, before, strict=True) if old != gone)


def test_slots_of_an_affine_service_go_by_weight():
    found = Counter(rendezvous({backend(1): 3, backend(2): 1}))
    assert 2.2 < found[backend(1)] / found[backend(2)] < 4.2
    assert rendezvous({backend(1): 3}) == (backend(1),)
    assert slots(route((cluster(endpoint(1), endpoint(2)), 100)), True, affine=True) == rendezvous(
        {backend(1): 1, backend(2): 1}
    )
