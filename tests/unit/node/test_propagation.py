from nodemesh.node.propagation import Propagation


def test_a_change_takes_until_all_workers_have_it():
    now = [10.0]
    propagation = Propagation(lambda: now[0])
    propagation.seen()
    now[0] = 10.25
    propagation.seen()  # of the same tables
    propagation.published(3, [f"cause {number}" for number in range(9)], 1000.0)
    propagation.applied(2)
    (change,) = propagation.changes
    assert (change.version, len(change.causes), change.count, change.seconds) == (3, 5, 9, -1.0)
    assert not sum(propagation.histogram.counts)
    now[0] = 10.5
    propagation.applied(3)
    propagation.applied(3)
    assert (sum(propagation.histogram.counts), propagation.histogram.sum, propagation.last) == (1, 500.0, 0.5)
    assert (change.at, change.seconds) == (1000.0, 0.5)


def test_tables_that_were_overtaken_are_in_force_with_the_newer_ones():
    now = [0.0]
    propagation = Propagation(lambda: now[0])
    for version in (1, 2):
        propagation.seen()
        propagation.published(version)
        now[0] += 1.0
    propagation.published(3)  # nothing was seen: the first tables after a start
    propagation.applied(3)
    assert (sum(propagation.histogram.counts), propagation.histogram.sum) == (2, 3000.0)


def test_hosts_whose_rules_changed_are_told_once_when_the_tables_are_in_force():
    propagation = Propagation(lambda: 0.0)
    propagation.published(1, touched={"reviews.bookinfo"})
    propagation.published(2, touched={"ratings.bookinfo"})
    propagation.published(3)
    assert propagation.applied(1) == {"reviews.bookinfo"}
    assert propagation.applied(3) == {"ratings.bookinfo"}
    assert propagation.applied(3) == set()
