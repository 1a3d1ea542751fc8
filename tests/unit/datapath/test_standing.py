"""Bytes of connections that stand are counted as they come, and each once, however looks and ends follow each other."""

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.datapath.diagnosis import StandingConnection
from nodemesh.datapath.standing import PATIENCE, StandingBytes
from nodemesh.datapath.traffic import Path, Traffic

HERE = Path(7, ("10.96.0.7", 80), ("10.244.0.2", 8080))
THERE = Path(7, ("10.96.0.7", 80), ("10.244.0.3", 8080))
SINCE = {7: 100.0}


def closed(sent, received, count=1):
    return Traffic(0, 0, count, sent, received, 1.0, 0.0)


def connection(cookie, sent, received, path=HERE, started=200.0):
    return StandingConnection(cookie, path, started, sent, received)


def look(counted, *found):
    counted.begin()
    counted.end(found, SINCE)


def carried(counted, taken=None):
    return {path: (one.sent, one.received) for path, one in counted.settle(taken or {}).items()}


def test_what_stands_is_counted_as_it_grows():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    assert carried(counted) == {HERE: (10, 1000)}
    look(counted, connection(1, 10, 1500), connection(2, 1, 2, THERE))
    assert carried(counted) == {HERE: (0, 500), THERE: (1, 2)}
    look(counted, connection(1, 10, 1500), connection(2, 1, 2, THERE))
    assert carried(counted) == {}


def test_its_end_counts_the_rest_once_a_look_has_found_it_gone():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    carried(counted)
    assert carried(counted, {HERE: closed(12, 1700)}) == {HERE: (0, 0)}
    look(counted)
    assert carried(counted) == {HERE: (2, 700)}


def test_who_came_and_went_between_two_looks_counts_at_once():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    carried(counted)
    assert carried(counted, {THERE: closed(5, 6)}) == {THERE: (5, 6)}


def test_an_end_during_a_look_that_had_found_the_connection_waits_for_the_next():
    counted = StandingBytes()
    counted.begin()
    assert carried(counted, {HERE: closed(12, 1700)}) == {HERE: (0, 0)}
    counted.end([connection(1, 10, 1000)], SINCE)
    assert carried(counted) == {HERE: (10, 1000)}
    look(counted)
    assert carried(counted) == {HERE: (2, 700)}


def test_an_end_that_is_told_after_the_look_that_missed_it_pays_what_is_owed():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    look(counted)
    assert carried(counted) == {HERE: (10, 1000)}
    assert carried(counted, {HERE: closed(12, 1700)}) == {HERE: (2, 700)}


def test_what_is_owed_and_never_told_is_given_up():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    carried(counted)
    for _ in range(PATIENCE + 2):
        look(counted)
    assert carried(counted, {HERE: closed(12, 1700)}) == {HERE: (12, 1700)}


def test_what_a_predecessor_has_counted_is_not_counted_again():
    """Of a connection that is older than the enrolment of its pod by this process."""
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000, started=99.0))
    assert carried(counted) == {}
    look(counted, connection(1, 11, 1200, started=99.0))
    assert carried(counted) == {HERE: (1, 200)}
    look(counted)
    assert carried(counted, {HERE: closed(11, 1300)}) == {HERE: (0, 100)}


def test_a_look_that_failed_changes_nothing():
    counted = StandingBytes()
    look(counted, connection(1, 10, 1000))
    carried(counted)
    counted.begin()
    assert carried(counted, {HERE: closed(12, 1700)}) == {HERE: (0, 0)}
    counted.abandon()
    look(counted)
    assert carried(counted) == {HERE: (2, 700)}


def test_beyond_the_limit_connections_count_at_their_ends():
    counted = StandingBytes(limit=1)
    look(counted, connection(1, 10, 1000), connection(2, 20, 2000))
    assert carried(counted) == {HERE: (10, 1000)}
    look(counted, connection(2, 20, 2000))
    assert carried(counted, {HERE: closed(10, 1000)}) == {HERE: (0, 0)}, "the first has left its place"
    look(counted, connection(2, 20, 2000))
    assert carried(counted) == {HERE: (20, 2000)}


def test_other_figures_of_connections_stay():
    counted = StandingBytes()
    (settled,) = counted.settle({HERE: Traffic(5, 1, 3, 6, 7, 1.5, 0.25)}).values()
    assert settled == Traffic(5, 1, 3, 6, 7, 1.5, 0.25)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open"), st.sampled_from([HERE, THERE])),
        st.tuples(st.just("send"), st.integers(0, 5), st.integers(1, 100)),
        st.tuples(st.just("close"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["take", "begin", "find", "end", "fail"])),
    ),
    max_size=60,
)


@given(STEPS)
def test_however_it_goes_each_byte_counts_once(steps):
    """Ends are told by the sums of their paths, taken at any time; a look finds what stood at some moment of it."""
    counted, standing, sums, total, out = StandingBytes(), {}, {}, 0, 0
    looking, found, cookies = False, [], 0

    def stand():
        return [connection(cookie, amount, amount, path) for cookie, (path, amount) in standing.items()]

    def take():
        nonlocal out
        taken = {path: closed(amount, amount) for path, amount in sums.items()}
        sums.clear()
        settled = counted.settle(taken).values()
        assert all(one.sent == one.received for one in settled)
        out += sum(one.sent for one in settled)
        assert out <= total, "never more than has come"

    for step, *rest in steps:
        if step == "open":
            cookies += 1
            standing[cookies] = [rest[0], 0]
        elif step == "send" and standing:
            list(standing.values())[rest[0] % len(standing)][1] += rest[1]
            total += rest[1]
        elif step == "close" and standing:
            path, amount = standing.pop(list(standing)[rest[0] % len(standing)])
            sums[path] = sums.get(path, 0) + amount
        elif step == "take":
            take()
        elif step == "begin" and not looking:
            take()
            counted.begin()
            looking, found = True, stand()
        elif step == "find":
            found = stand()
        elif step == "end" and looking:
            counted.end(found, SINCE)
            looking = False
        elif step == "fail" and looking:
            counted.abandon()
            looking = False
    if looking:
        counted.end(found, SINCE)
    take()
    for _ in range(2):
        look(counted, *stand())
        take()
    assert out == total
