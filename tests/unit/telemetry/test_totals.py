from tests.unit.telemetry.samples import connection, request

from nodemesh.telemetry.names import Names
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals


def worker(requests: int) -> bytes:
    telemetry = Telemetry()
    for _ in range(requests):
        telemetry.record(request())
    telemetry.opened(connection(0, 0))
    telemetry.record(connection(5, 6))
    telemetry.names.answered += requests
    telemetry.names.timeouts += 1
    return telemetry.dump()


def test_workers_add_up_and_a_newer_dump_replaces_the_older():
    totals = Totals()
    totals.update("a", worker(1))
    totals.update("a", worker(3))
    totals.update("b", worker(4))
    dump = totals.sum(decisions=5)
    assert dump.http[0].requests == 7
    assert sum(dump.http[0].duration[0]) == 7
    assert dump.tcp[0].sent == 10
    assert len(dump.decisions) == 5
    assert dump.names == Names(answered=7, timeouts=2)


def test_a_dead_workers_numbers_stay():
    totals = Totals()
    totals.update("a", worker(3))
    totals.retire("a")
    totals.retire("a")
    totals.update("b", worker(2))
    assert totals.sum().http[0].requests == 5


def test_a_successor_counts_the_dead_and_hears_of_the_living_again():
    totals = Totals()
    totals.update("dead", worker(3))
    totals.retire("dead")
    totals.update("living", worker(4))
    totals.update("dies meanwhile", worker(5))
    successor = Totals()
    successor.restore(totals.save())
    assert successor.sum().http[0].requests == 12
    successor.update("living", worker(6))
    assert successor.sum().http[0].requests == 14
