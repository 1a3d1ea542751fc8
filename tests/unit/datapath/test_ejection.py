"""Who is taken out of the kernel's maps, and for how long."""

from nodemesh.datapath.ejection import BASE, INTERVAL, LONGEST, Ejections
from nodemesh.datapath.maps import Backend, pack_address
from nodemesh.datapath.traffic import Path, Traffic

DEAD = Backend(pack_address("10.1.0.1"), 80)


def attempts(address="10.1.0.1", port=80, *, failed=0, closed=0, netns=1):
    path = Path(netns, ("10.96.0.1", 80), (address, port))
    return {path: Traffic(failed + closed, failed, closed, 0, 0, 0.0, 0.0)}


def test_only_failures_put_an_endpoint_out_for_a_while():
    ejections = Ejections()
    ejections.observe(attempts(failed=3), 100)
    assert ejections.out(100) == {DEAD}
    assert ejections.out(100 + BASE - 0.1) == {DEAD}
    assert ejections.out(100 + BASE) == frozenset()


def test_one_that_also_serves_stays():
    ejections = Ejections()
    ejections.observe(attempts(failed=30) | attempts(closed=1, netns=2), 100)
    assert ejections.out(100) == frozenset()


def test_two_failures_may_be_chance():
    ejections = Ejections()
    ejections.observe(attempts(failed=2), 100)
    ejections.observe(attempts(failed=2), 100 + INTERVAL)
    assert ejections.out(100 + INTERVAL) == frozenset()


def test_collections_that_follow_closely_are_judged_together():
    ejections = Ejections()
    ejections.observe({}, 100)
    for number in range(3):
        ejections.observe(attempts(failed=1), 100.1 + number / 10)
    ejections.observe({}, 100 + INTERVAL)
    assert ejections.out(100 + INTERVAL) == {DEAD}


def test_one_that_fails_again_stays_out_longer_up_to_a_limit():
    ejections, now, waits = Ejections(), 100.0, []
    for _ in range(40):
        ejections.observe(attempts(failed=5), now)
        began = now
        while DEAD in ejections.out(now):
            now += 1
        waits.append(now - began)
        now += INTERVAL
    assert waits[:3] == [BASE, 2 * BASE, 3 * BASE]
    assert waits[-1] == LONGEST


def test_what_was_well_for_long_begins_anew():
    ejections = Ejections()
    ejections.observe(attempts(failed=5), 100)
    ejections.out(100 + 2 * BASE + 1)
    ejections.observe(attempts(failed=5), 200)
    assert ejections.out(200 + BASE) == frozenset()


def test_late_failures_of_one_that_is_out_do_not_prolong_it():
    ejections = Ejections()
    ejections.observe(attempts(failed=5), 100)
    ejections.observe(attempts(failed=5), 100 + INTERVAL)
    assert ejections.out(100 + BASE) == frozenset()


def test_a_destination_without_endpoints_is_none():
    ejections = Ejections()
    ejections.observe(attempts("127.0.0.1", 0, failed=9), 100)
    assert ejections.out(100) == frozenset()
