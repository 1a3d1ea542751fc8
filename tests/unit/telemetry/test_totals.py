import msgspec
import pytest
from tests.unit.telemetry.samples import connection, request

from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.telemetry.names import Names
from nodemesh.telemetry.sweep import IDLE_LOOKS, TAKEN
from nodemesh.telemetry.telemetry import DUMPS_KEPT, LOOKS, Telemetry
from nodemesh.telemetry.totals import Totals


def worked(telemetry: Telemetry, requests: int) -> Telemetry:
    for _ in range(requests):
        telemetry.record(request())
    telemetry.opened(connection(0, 0))
    telemetry.record(connection(5, 6))
    telemetry.names.answered += requests
    telemetry.names.timeouts += 1
    return telemetry


def take(totals: Totals, worker: str, data: bytes, now: float = 0.0) -> int:
    return len(list(totals.update(worker, data, now)))


def requests_of(totals: Totals) -> int:
    return sum(row.counts.requests for row in totals.http.values())


def test_workers_add_up():
    totals = Totals()
    one, two = Telemetry(), Telemetry()
    take(totals, "a", worked(one, 1).dumps(0))
    take(totals, "a", worked(one, 2).dumps(1))
    take(totals, "b", worked(two, 4).dumps(0))
    (row,) = totals.http.values()
    (flow,) = totals.tcp.values()
    assert row.counts.requests == 7
    assert sum(row.counts.duration[0]) == 7
    assert (flow.counts.opened, flow.counts.sent) == (3, 15)
    assert len(totals.recent) == 10
    assert totals.names == Names(answered=7, timeouts=3)


def test_what_workers_are_doing_is_known_while_they_live():
    totals, telemetry = Totals(), Telemetry()
    record = request(status=503, reasons=(Reason.UPSTREAM_OVERFLOW,))
    record.attempts = 3
    telemetry.record(record)
    telemetry.open, telemetry.lag = 7, 0.5
    take(totals, "a", telemetry.dumps(0))
    assert (totals.open, totals.lag, totals.retries) == ({"a": 7}, {"a": 0.5}, 2)
    assert totals.reasons == {Reason.UPSTREAM_OVERFLOW: 1}
    take(totals, "a", telemetry.dumps(1))
    assert (totals.lag, totals.retries) == ({"a": 0.0}, 2)
    successor = Totals()
    successor.restore(totals.save(), 0.0)
    assert (successor.reasons, successor.retries) == (totals.reasons, 2)
    totals.retire("a")
    assert not totals.open


def test_a_dump_that_comes_again_counts_once():
    """Control died after it had asked, and before it had kept what it was told."""
    totals, telemetry = Totals(), Telemetry()
    assert take(totals, "a", worked(telemetry, 3).dumps(0)) == 1
    assert take(totals, "a", telemetry.dumps(0)) == 1  # the first again, and an empty one
    assert requests_of(totals) == 3
    assert len(telemetry.dumps(totals.kept("a"))) < 200  # nothing is repeated that is kept


def test_a_worker_holds_so_many_dumps_for_a_control_that_keeps_none():
    telemetry, totals = Telemetry(), Totals()
    for _ in range(DUMPS_KEPT + 5):
        data = worked(telemetry, 1).dumps(0)
    assert take(totals, "a", data) == DUMPS_KEPT
    assert take(totals, "a", telemetry.dumps(totals.kept("a"))) == 1
    assert requests_of(totals) == DUMPS_KEPT + 5


def test_many_label_sets_come_in_parts():
    telemetry, totals = Telemetry(), Totals()
    part = LOOKS // TAKEN
    for number in range(part + 10):
        telemetry.record(request(client=Client(namespace="default", name=f"client-{number}")))
    (first,) = totals.update("a", telemetry.dumps(0), 0.0)
    assert (len(first.http), first.more) == (part, True)
    (second,) = totals.update("a", telemetry.dumps(0, totals.kept("a")), 0.0)
    assert (len(second.http), second.more) == (10, False)
    assert (len(totals.http), len(totals.recent)) == (part + 10, 256)
    again = Totals()
    assert [len(dump.http) for dump in again.update("a", telemetry.dumps(0), 0.0)] == [part, 10, 0], "none is lost"


def test_a_dead_workers_numbers_stay():
    totals = Totals()
    take(totals, "a", worked(Telemetry(), 3).dumps(0))
    totals.retire("a")
    totals.retire("a")
    take(totals, "b", worked(Telemetry(), 2).dumps(0))
    assert requests_of(totals) == 5


def test_a_successor_goes_on_with_the_dead_and_the_living():
    totals, living = Totals(), Telemetry()
    take(totals, "dead", worked(Telemetry(), 3).dumps(0))
    totals.retire("dead")
    take(totals, "living", worked(living, 4).dumps(0))
    take(totals, "dies meanwhile", worked(Telemetry(), 5).dumps(0))
    successor = Totals()
    successor.restore(totals.save(), 0.0)
    assert requests_of(successor) == 12
    take(successor, "living", worked(living, 2).dumps(0))
    assert requests_of(successor) == 14
    assert totals.save() == totals.save()


def test_what_another_version_has_kept_is_refused():
    with pytest.raises(msgspec.DecodeError):
        Totals().restore(b"\x93\x01\x02\x03", 0.0)


def test_what_another_version_counts_beside_is_left_out_and_all_else_goes_on():
    """A reason, a label or a bucket more, as where an older version follows a newer one."""
    totals, telemetry = Totals(), Telemetry()
    telemetry.record(request(status=503, reasons=(Reason.UPSTREAM_OVERFLOW,)))
    take(totals, "a", worked(telemetry, 2).dumps(0))
    saved = msgspec.msgpack.decode(totals.save())
    reasons, http, tcp = saved[4], saved[6], saved[7]
    labels, _, (buckets, total), *sizes = http[0]
    reasons[9999] = 3
    http.append([[*labels, "new"], 50, (buckets, total), *sizes])
    http.append([labels, 50, ([*buckets, 1], total), *sizes])
    tcp.append([["new"], 1, 1, 1, 1])
    saved.append("a field of a newer version")
    successor = Totals()
    successor.restore(msgspec.msgpack.encode(saved), 0.0)
    assert (successor.reasons, requests_of(successor)) == (totals.reasons, requests_of(totals))
    assert len(successor.tcp) == len(totals.tcp)
    assert all(Reason(number) for number in successor.reasons)
    take(successor, "b", worked(Telemetry(), 2).dumps(0))
    assert requests_of(successor) == requests_of(totals) + 2


def test_series_of_those_who_have_left_leave_and_are_counted():
    totals, telemetry = Totals(), Telemetry()
    for number in range(300):
        telemetry.record(request(client=Client(namespace="default", name=f"gone-{number}")))
    for part in range(2):
        take(totals, "a", telemetry.dumps(part), 0.0)
    take(totals, "a", worked(telemetry, 2).dumps(2), 100.0)
    totals.expire(0.0)
    assert len(totals.http) == 301
    totals.expire(1.0)
    assert (len(totals.http), len(totals.tcp)) == (1, 1)
    assert (totals.gone.series, totals.gone.requests) == (300, 300)
    totals.expire(101.0)
    assert (len(totals.http), totals.gone.requests, totals.gone.connections) == (0, 302, 1)
    successor = Totals()
    successor.restore(totals.save(), 0.0)
    assert successor.gone == totals.gone


def test_a_worker_lets_go_of_series_in_which_nothing_happens():
    telemetry, totals = Telemetry(), Totals()
    record = connection(5, 6)
    telemetry.opened(record)
    telemetry.record(request())
    for number in range(IDLE_LOOKS + 1):
        take(totals, "a", telemetry.dumps(number))
    assert not telemetry._http and not telemetry._tcp and not telemetry._bounds._total
    telemetry.record(record)  # closes after its series has left
    telemetry.record(request())
    take(totals, "a", telemetry.dumps(totals.kept("a")))
    (flow,) = totals.tcp.values()
    assert (requests_of(totals), flow.counts.opened, flow.counts.closed) == (2, 1, 1)


def test_messages_add_up_outlive_control_and_leave():
    totals, telemetry = Totals(), Telemetry()
    telemetry.add_messages(request(), 1, 2)
    take(totals, "a", telemetry.dumps(0))
    telemetry.add_messages(request(), 3, 0)
    take(totals, "a", telemetry.dumps(1), now=5.0)
    successor = Totals()
    successor.restore(totals.save(), 5.0)
    (row,) = successor.messages.values()
    assert (row.counts.requests, row.counts.responses) == (4, 2)
    successor.expire(6.0)
    assert not successor.messages and successor.gone.series == 1
