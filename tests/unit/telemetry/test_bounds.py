"""However many label sets pods, upstreams and clients make, there are so many series and no more."""

from itertools import count

import msgspec
from tests.unit.telemetry.samples import CLIENT, REVIEWS, request

from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.telemetry.bounds import PER_EDGE, PER_SOURCE, RESERVED, Bounds
from nodemesh.telemetry.labels import HTTP_LABELS
from nodemesh.telemetry.telemetry import FOREIGN_HOST_LONGEST, Telemetry
from nodemesh.telemetry.totals import Totals

CODE, GRPC = HTTP_LABELS.index("response_code"), HTTP_LABELS.index("grpc_response_status")
SERVICE, SOURCE = HTTP_LABELS.index("destination_service_name"), HTTP_LABELS.index("source_workload")


def totals_of(telemetry: Telemetry) -> Totals:
    totals = Totals()
    totals.add(telemetry.dump(), 0.0)
    return totals


def labels(source: str = "a", service: str = "b", code: str = "200", workload: str = "w") -> tuple[str, ...]:
    named = {"source_workload": source, "destination_service_name": service, "response_code": code}
    named |= {"destination_workload": workload, "response_flags": "-", "grpc_response_status": ""}
    return tuple(named.get(name, "x") for name in HTTP_LABELS)


def fill(bounds: Bounds, known: set[tuple[str, ...]], sets) -> None:
    known.update(bounds.place(each, known) for each in sets)


def test_an_upstreams_statuses_are_those_that_http_and_grpc_have():
    telemetry = Telemetry()
    for status in range(1000):
        telemetry.record(request(status=status))
    for status in (*range(-1, 10_000), 10**30):
        record = request()
        record.grpc_status = status
        telemetry.record(record)
    found = {(each[CODE], each[GRPC]) for each in telemetry._http}
    assert len(telemetry._http) <= PER_EDGE + 8
    assert {int(code) for code, _ in found} <= {0, *range(100, 600)}
    assert {grpc for _, grpc in found} <= {"", *map(str, range(17))}
    assert sum(row.counts.requests for row in totals_of(telemetry).http.values()) == 1000 + 10_002


def test_an_edge_without_room_still_names_both_ends_and_tells_failures():
    bounds, known = Bounds(), set()
    fill(bounds, known, (labels(code=str(code)) for code in range(200, 600)))
    assert len(known) == PER_EDGE + 3  # 3xx, 4xx, 5xx
    coarse = bounds.place(labels(code="599"), known)
    assert (coarse[SOURCE], coarse[SERVICE], coarse[CODE]) == ("a", "b", "500")
    assert coarse[HTTP_LABELS.index("destination_workload")] == "unknown"
    assert bounds.folded == 400 - PER_EDGE + 1
    other = labels(service="c", code="599")
    assert bounds.place(other, known) == other


def test_a_client_without_room_is_still_named_and_takes_nothing_from_another():
    bounds, known = Bounds(), set()
    fill(bounds, known, (labels(service=f"s{number}") for number in range(PER_SOURCE + 500)))
    assert len(known) == PER_SOURCE + 1
    coarse = bounds.place(labels(service="late"), known)
    assert (coarse[SOURCE], coarse[SERVICE]) == ("a", "unknown")
    other = labels(source="other", service="late")
    assert bounds.place(other, known) == other


def test_when_all_room_is_taken_small_clients_get_theirs_and_new_ones_share():
    bounds, known = Bounds(total=200), set()
    fill(bounds, known, (labels(source="small", service=f"s{number}") for number in range(5)))
    fill(bounds, known, (labels(source="big", service=f"s{number}") for number in range(500)))
    mine = labels(source="small", service="another")
    assert bounds.place(mine, known) == mine
    assert bounds.place(labels(source="big", service="another"), known)[SERVICE] == "unknown"
    fill(bounds, known, (labels(source="small", service=f"t{number}") for number in range(500)))
    assert len(known) <= 200 + RESERVED + 3


def test_what_has_left_makes_room():
    bounds, known = Bounds(), set()
    fill(bounds, known, (labels(code=str(code)) for code in range(200, 600)))
    for each in known:
        bounds.free(each)
    assert (bounds._total, len(bounds._edges), len(bounds._sources)) == (0, 0, 0)


def test_control_bounds_what_many_workers_found_room_for():
    totals = Totals()
    numbers = count()
    for _ in range(3):
        telemetry = Telemetry()
        for _ in range(PER_SOURCE):
            cluster = msgspec.structs.replace(REVIEWS, host=f"h{next(numbers)}")
            telemetry.record(request(cluster=cluster))
        totals.add(telemetry.dump(), 0.0)
    assert len(totals.http) == PER_SOURCE + 1
    assert totals.gone.folded == 2 * PER_SOURCE


def test_hosts_that_are_no_names_are_not_kept():
    telemetry = Telemetry()
    for number in range(200):
        host = b"%d" % number + b"x" * FOREIGN_HOST_LONGEST
        telemetry.record(request(cluster=None, status=404, reasons=(Reason.ROUTE_NOT_FOUND,), authority=host))
    assert len(telemetry._http) == len(telemetry._http_cache) == 1
    assert not telemetry._foreign


def test_a_thousand_pods_that_come_and_go_leave_nothing_behind():
    telemetry = Telemetry()
    for number in range(1000):
        telemetry.record(request(client=Client(namespace=CLIENT.namespace, name=f"pod-{number}")))
    totals = totals_of(telemetry)
    assert len(totals.http) == 1000
    totals.expire(10_000.0)
    assert not totals.http and not totals._bounds._total
