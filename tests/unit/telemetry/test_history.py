import msgspec
from tests.unit.telemetry.samples import connection, request

from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.telemetry import history
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.history import SLOT, SLOTS, History
from nodemesh.telemetry.telemetry import Telemetry


def dump_of(*records) -> Dump:
    telemetry = Telemetry()
    for record in records:
        if not hasattr(record, "status"):
            telemetry.opened(record)
        telemetry.record(record)
    return msgspec.msgpack.decode(telemetry.dump(), type=Dump)


def test_a_time_has_what_was_counted_in_it():
    kept = History()
    kept.add(dump_of(request(), request(status=503, reasons=(Reason.NO_HEALTHY_UPSTREAM,))), 100.0)
    kept.add(dump_of(request(), connection(3, 4)), 107.0)
    assert kept.since == 100.0
    (flow,) = kept.between(100.0, 105.0).values()
    assert (flow.requests, flow.errors, sum(flow.duration)) == (2, 1, 2)
    assert flow.codes == {("200", "-"): 1, ("503", "UH"): 1}
    flows = kept.between(100.0, 110.0)
    by_protocol = {way.protocol: flow for way, flow in flows.items()}
    assert (by_protocol["http"].requests, by_protocol["tcp"].requests) == (3, 1)
    assert (by_protocol["tcp"].sent, by_protocol["tcp"].received) == (3, 4)
    (way, *_) = flows
    assert (way.workload, way.service, way.answered, way.version) == ("productpage-v1", "reviews", "reviews-v2", "v2")
    assert kept.between(200.0, 300.0) == {}


def test_grpc_failures_are_failures():
    record = request()
    record.grpc_status = 14
    kept = History()
    kept.add(dump_of(record), 1.0)
    (flow,) = kept.between(0.0, 5.0).values()
    assert (flow.errors, flow.codes) == (1, {("grpc 14", "-"): 1})


def test_a_quarter_of_an_hour_is_kept():
    kept = History()
    for number in range(SLOTS + 10):
        kept.add(dump_of(request()), number * SLOT)
        kept.add(Dump(), number * SLOT + 1.0)
    assert kept.since == 10 * SLOT
    assert sum(flow.requests for flow in kept.between(0.0, 1e9).values()) == SLOTS


def test_of_a_big_mesh_less_is_kept(monkeypatch):
    monkeypatch.setattr(history, "CELLS", 100)
    kept = History()
    for number in range(10):
        clients = [Client(namespace="default", name=f"c{each}") for each in range(30)]
        kept.add(dump_of(*[request(client=client) for client in clients]), number * SLOT)
    assert kept.since == 7 * SLOT


def test_rates_of_steady_traffic_are_the_same_at_any_moment():
    """The newest slot has not ended; an older one may have begun before the time that is asked for."""
    kept = History()
    for tenth in range(600):  # ten requests a second
        kept.add(dump_of(request()), 1000.0 + tenth / 10)
    now = 1000.0 + 59.9
    for back in range(35):
        for window in (10.0, 25.0):
            start, end = now - back - window, now - back
            (flow,) = kept.between(start, end).values()
            rate = flow.requests / kept.covered(start, end, now)
            assert 9.5 <= rate <= 10.5, (back, window, rate)


def test_a_time_before_anything_was_counted_stands_for_none():
    kept = History()
    kept.add(dump_of(request()), 1000.0)
    assert kept.covered(900.0, 1004.0, 1004.0) == 4.0 and kept.covered(900.0, 1000.1, 1000.1) == 1.0


def test_what_a_service_got_counts_from_when_its_rules_changed_last():
    kept = History()
    old, new = request(), request()
    kept.add(dump_of(old, old), 90.0)
    kept.add(dump_of(old), 101.0)
    host = next(iter(kept.between(0.0, 200.0))).host
    kept.renew([host, "another.default"], 102.0)
    (flow,) = kept.between(80.0, 103.0).values()
    assert (flow.requests, flow.seconds) == (3, 0.0), (
        "until something is counted by the new rules, the old picture stays"
    )
    kept.add(dump_of(new), 103.0)
    (flow,) = kept.between(80.0, 104.0).values()
    assert (flow.requests, flow.seconds) == (1, 2.0)
    kept.add(dump_of(new), 111.0)
    (flow,) = kept.between(80.0, 112.0).values()
    assert (flow.requests, flow.seconds) == (2, 10.0)
    assert sum(flow.requests for flow in kept.between(80.0, 100.0).values()) == 3, "then the old rules held"
    (flow,) = kept.between(105.0, 112.0).values()
    assert (flow.requests, flow.seconds) == (1, 0.0), "a time by the new rules alone is whole"
    assert kept.renewed_after(101.0) == {host, "another.default"} and not kept.renewed_after(103.0)


def test_a_caller_that_has_not_asked_since_a_change_stays_as_it_was():
    kept = History()
    quiet = Client(namespace="default", name="quiet")
    kept.add(dump_of(request(), request(client=quiet)), 101.0)
    kept.renew([way.host for way in kept.between(0.0, 200.0)], 102.0)
    kept.add(dump_of(request()), 103.0)
    found = {way.workload: (flow.requests, flow.seconds) for way, flow in kept.between(0.0, 104.0).items()}
    assert found == {"quiet": (1, 0.0), "productpage-v1": (1, 2.0)}


def test_of_many_changed_services_the_newest_are_known(monkeypatch):
    monkeypatch.setattr(history, "RENEWED", 3)
    kept = History()
    for number in range(5):
        kept.renew([f"service-{number}"], 100.0 + number)
    assert kept.renewed_after(0.0) == {"service-2", "service-3", "service-4"}
