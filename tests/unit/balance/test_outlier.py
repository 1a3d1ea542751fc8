import pytest
from tests.unit.balance.building import Clock, endpoint

from nodemesh.balance.host import Host
from nodemesh.balance.outlier import Detector, Outcome, Streak, clear, ejection_time, strike
from nodemesh.balance.rows import BACKOFF, CELL, FIELDS, CounterRow, private_row
from nodemesh.routing.decision import Outlier


class Watched:
    """A detector over hosts, with its clock and a count of the changes that it announced."""

    def __init__(self, count=10, **settings):
        self.clock = Clock()
        self.hosts = [Host(endpoint(number), private_row(), 0.0) for number in range(count)]
        self.changes = 0
        self.detector = Detector(
            Outlier(**{"max_ejection_percent": 100, **settings}), self.hosts, self.clock, self.changed
        )

    def changed(self):
        self.changes += 1

    def report(self, *statuses, host=0):
        for status in statuses:
            self.detector.report(self.hosts[host], status, Outcome.RESPONSE)

    def sweep(self, seconds=10.0):
        self.clock.advance(seconds)
        self.detector.sweep()

    @property
    def ejected(self):
        return [index for index, host in enumerate(self.hosts) if host.ejected]


@pytest.mark.parametrize(
    ("settings", "statuses", "ejected"),
    [
        ({}, [500] * 4, False),
        ({}, [500] * 5, True),
        ({}, [500] * 4 + [200] + [500] * 4, False),
        ({}, [500] * 4 + [404] + [500] * 4, False),  # 4xx is a success here
        ({"consecutive_5xx": 0}, [500] * 50, False),
        ({"consecutive_5xx": 0, "consecutive_gateway_errors": 3}, [502, 503, 504], True),
        ({"consecutive_5xx": 0, "consecutive_gateway_errors": 3}, [502, 503, 500, 504], False),
        ({"consecutive_gateway_errors": 0}, [503] * 4, False),
        ({"consecutive_gateway_errors": 2}, [503, 503], True),
        ({"consecutive_5xx": 1}, [500], True),
        ({"error_codes": frozenset({429})}, [429] * 5, True),
        ({"error_codes": frozenset({429})}, [500] * 50, False),
        ({"error_codes": frozenset({429})}, [429] * 4 + [500] + [429] * 4, False),
    ],
)
def test_consecutive_errors_eject_at_once(settings, statuses, ejected):
    watched = Watched(**settings)
    watched.report(*statuses)
    assert bool(watched.ejected) is ejected


@pytest.mark.parametrize(
    ("split", "outcomes", "ejected"),
    [
        (False, [Outcome.CONNECT_FAILED] * 5, True),
        (False, [Outcome.TIMEOUT] * 5, True),
        (False, [Outcome.REQUEST_FAILED] * 5, True),
        (False, [Outcome.CONNECTED, Outcome.REQUEST_FAILED] * 5, True),  # connecting says nothing about the answer
        (False, [Outcome.COMPLETED, Outcome.CONNECT_FAILED] * 9, False),
        (True, [Outcome.CONNECT_FAILED] * 4, False),  # consecutive_local_origin is 5, consecutive_5xx 3 here
        (True, [Outcome.CONNECT_FAILED] * 5, True),
        (True, [Outcome.CONNECT_FAILED, Outcome.TIMEOUT] * 3, True),
        (True, [Outcome.CONNECT_FAILED] * 4 + [Outcome.CONNECTED] + [Outcome.CONNECT_FAILED] * 4, False),
        (True, [Outcome.CONNECTED, Outcome.REQUEST_FAILED] * 3, True),
    ],
)
def test_local_errors_count_as_5xx_unless_split_off(split, outcomes, ejected):
    watched = Watched(split_local_origin=split, consecutive_5xx=3 if split else 5)
    for outcome in outcomes:
        watched.detector.report(watched.hosts[0], 0, outcome)
    assert bool(watched.ejected) is ejected


@pytest.mark.parametrize(
    ("hosts", "percent", "possible"),
    [(9, 10, 0), (10, 10, 1), (19, 10, 1), (20, 10, 2), (1, 50, 0), (2, 50, 1), (3, 50, 1), (4, 100, 4), (4, 0, 0)],
)
def test_the_ejected_share_never_passes_its_maximum(hosts, percent, possible):
    watched = Watched(hosts, max_ejection_percent=percent, consecutive_5xx=1)
    for host in range(hosts):
        watched.report(500, host=host)
    assert len(watched.ejected) == possible
    assert watched.detector.overflows == hosts - possible
    assert watched.detector.ejections == watched.changes == possible


def test_a_refused_ejection_needs_a_whole_streak_again():
    watched = Watched(1, max_ejection_percent=10)
    watched.report(*[500] * 9)
    assert watched.detector.overflows == 1
    watched.report(500)
    assert watched.detector.overflows == 2


def test_ejection_ends_at_the_first_sweep_after_its_time():
    watched = Watched(base_ejection=30.0)
    watched.report(*[500] * 5)
    watched.sweep(10.0)
    watched.sweep(10.0)
    watched.sweep(9.0)
    assert watched.ejected == [0]
    watched.clock.advance(5.0)
    assert watched.ejected == [0]  # only a sweep lets it in
    watched.sweep(0.0)
    assert watched.ejected == []
    assert watched.changes == 2


def test_repeated_ejections_last_longer_and_good_intervals_shorten_them():
    watched = Watched(base_ejection=30.0)
    row = watched.hosts[0].row
    for factor in (1, 2, 3):
        watched.report(*[500] * 5)
        assert row.total(BACKOFF) == factor
        watched.sweep(30.0 * factor - 1.0)
        assert watched.ejected == [0]
        watched.sweep(1.0)
        assert watched.ejected == []
    watched.sweep(9.0)  # less than an interval in service
    assert row.total(BACKOFF) == 3
    for factor in (2, 1, 0, 0):
        watched.sweep(10.0)
        assert row.total(BACKOFF) == factor


@pytest.mark.parametrize(
    ("base", "factor", "seconds"), [(30.0, 1, 30.0), (30.0, 4, 120.0), (30.0, 50, 300.0), (600.0, 3, 600.0)]
)
def test_ejection_time_is_capped_at_300_seconds_or_the_base_time(base, factor, seconds):
    assert ejection_time(Outlier(base_ejection=base), factor) == seconds


def test_the_factor_stops_growing_where_time_is_capped():
    watched = Watched(base_ejection=100.0)
    for _ in range(9):
        watched.report(*[500] * 5)
        watched.sweep(300.0)
    assert watched.hosts[0].row.total(BACKOFF) <= 4


def test_errors_while_ejected_do_not_count_afterwards():
    watched = Watched()
    watched.report(*[500] * 5)
    watched.report(*[500] * 4)
    watched.sweep(30.0)
    watched.report(500)
    assert watched.ejected == []


def test_switching_off_lets_everyone_in():
    watched = Watched()
    watched.report(*[500] * 5)
    watched.detector.release()
    assert watched.ejected == []


def rows(workers):
    buffer = memoryview(bytearray(FIELDS * workers * CELL))
    return [CounterRow(buffer, buffer.cast("q"), 0, workers, worker) for worker in range(workers)]


def test_a_streak_is_the_nodes():
    one, two = rows(2)
    assert [strike(one, Streak.ANY_5XX), strike(two, Streak.ANY_5XX), strike(one, Streak.ANY_5XX)] == [1, 2, 3]
    assert strike(two, Streak.GATEWAY) == 1
    clear(two, Streak.ANY_5XX)  # a success anywhere breaks it
    assert strike(one, Streak.ANY_5XX) == 1
    assert strike(two, Streak.GATEWAY) == 2


def test_one_worker_at_a_time_shortens_the_next_ejection():
    buffer_rows = rows(2)
    clock = Clock()
    detectors = []
    for row in buffer_rows:
        host = Host(endpoint(0), row, 0.0)
        detectors.append(Detector(Outlier(max_ejection_percent=100, consecutive_5xx=1), [host], clock, lambda: None))
    for detector in detectors:
        (host,) = detector.hosts
        detector.report(host, 500, Outcome.RESPONSE)
        clock.advance(120.0)
        for sweeping in detectors:
            sweeping.sweep()
        assert not host.ejected
    assert buffer_rows[0].values(BACKOFF) == (1, 1)
    clock.advance(10.0)
    detectors[1].sweep()
    assert buffer_rows[0].values(BACKOFF) == (1, 1)
    detectors[0].sweep()
    assert buffer_rows[0].values(BACKOFF) == (0, 1)
