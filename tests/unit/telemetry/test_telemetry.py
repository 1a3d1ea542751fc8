import os

import msgspec
from tests.unit.telemetry.samples import connection, request

from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Service
from nodemesh.telemetry.access_log import AccessLog, open_log
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.labels import HTTP_LABELS, TCP_LABELS
from nodemesh.telemetry.telemetry import BATCH, FOREIGN_HOST_LIMIT, Telemetry


def dump_of(telemetry: Telemetry) -> Dump:
    return msgspec.msgpack.decode(telemetry.dump(), type=Dump)


def test_labels_are_those_of_istios_standard_metrics():
    telemetry = Telemetry()
    telemetry.record(request())
    (counts,) = dump_of(telemetry).http
    labels = dict(zip(HTTP_LABELS, counts.labels, strict=True))
    assert labels == {
        "reporter": "source",
        "source_workload": "productpage-v1",
        "source_canonical_service": "productpage",
        "source_canonical_revision": "latest",
        "source_workload_namespace": "default",
        "source_principal": "unknown",
        "source_app": "productpage",
        "source_version": "unknown",
        "source_cluster": "Kubernetes",
        "destination_workload": "reviews-v2",
        "destination_workload_namespace": "default",
        "destination_principal": "unknown",
        "destination_app": "reviews",
        "destination_version": "v2",
        "destination_service": "reviews.default.svc.cluster.local",
        "destination_service_name": "reviews",
        "destination_service_namespace": "default",
        "destination_canonical_service": "reviews",
        "destination_canonical_revision": "v2",
        "destination_cluster": "Kubernetes",
        "request_protocol": "http",
        "response_flags": "-",
        "connection_security_policy": "unknown",
        "response_code": "200",
        "grpc_response_status": "",
    }


def test_requests_that_differ_only_in_time_share_a_series():
    telemetry = Telemetry()
    for _ in range(3):
        telemetry.record(request())
    telemetry.record(request(status=503, reasons=(Reason.NO_HEALTHY_UPSTREAM,)))
    by_code = {counts.labels[HTTP_LABELS.index("response_code")]: counts for counts in dump_of(telemetry).http}
    assert by_code["200"].requests == 3
    assert by_code["200"].duration[1] == 3 * 12.5
    assert by_code["200"].response_bytes[1] == 360
    assert by_code["503"].labels[HTTP_LABELS.index("response_flags")] == "UH"


def test_what_has_ended_is_accounted_for_in_batches_and_when_it_is_asked_for(tmp_path):
    fd = open_log(str(tmp_path / "log"))
    telemetry = Telemetry(AccessLog(fd, LogFormatter("%REQ(:METHOD)%")))
    telemetry.record(request())
    assert not telemetry.log.pending
    for _ in range(BATCH - 1):
        telemetry.record(request())
    assert telemetry.log.pending == BATCH * len(b"GET\n")
    telemetry.record(request())
    telemetry.flush()
    assert (tmp_path / "log").read_bytes() == (BATCH + 1) * b"GET\n"
    telemetry.record(request())
    (counts,) = dump_of(telemetry).http
    assert counts.requests == BATCH + 2
    os.close(fd)


def test_hosts_invented_by_clients_do_not_make_series_without_end():
    telemetry = Telemetry()
    for number in range(FOREIGN_HOST_LIMIT + 50):
        telemetry.record(
            request(cluster=None, status=404, reasons=(Reason.ROUTE_NOT_FOUND,), authority=b"h%d" % number)
        )
    series = dump_of(telemetry).http
    assert len(series) == FOREIGN_HOST_LIMIT + 1
    assert max(counts.requests for counts in series) == 50


def test_tcp_connections_count_by_opening_and_closing():
    telemetry = Telemetry()
    telemetry.opened(connection(0, 0))
    telemetry.opened(connection(0, 0))
    telemetry.record(connection(sent=10, received=20))
    (flow,) = dump_of(telemetry).tcp
    assert (flow.opened, flow.closed, flow.sent, flow.received) == (2, 1, 10, 20)


def test_a_tcp_connection_is_opened_once_and_closes_under_its_flags():
    telemetry = Telemetry()
    record = connection(sent=10, received=20)
    telemetry.opened(record)
    telemetry.opened(record)
    record.reasons = (Reason.UPSTREAM_REMOTE_RESET,)
    telemetry.record(record)
    flows = {flow.labels[TCP_LABELS.index("response_flags")]: flow for flow in dump_of(telemetry).tcp}
    assert {flags: (flow.opened, flow.closed) for flags, flow in flows.items()} == {"-": (1, 0), "UR": (0, 1)}


def test_the_last_requests_are_kept_in_words():
    telemetry = Telemetry()
    telemetry.record(request(status=404, cluster=None, reasons=(Reason.ROUTE_NOT_FOUND,)))
    (decision,) = dump_of(telemetry).decisions
    assert (decision.client, decision.method, decision.status, decision.flags, decision.details) == (
        "default/productpage-v1-7d5c-abcde",
        "GET",
        404,
        "NR",
        "route_not_found",
    )


def test_what_is_kept_of_peers_words_is_short():
    telemetry = Telemetry()
    record = request(cluster=None, status=404, authority=b"h" * 60_000)
    record.path = b"/" * 60_000
    record.request_id = b"i" * 60_000
    record.user_agent = record.forwarded_for = b"a" * 60_000
    record.transport_failure = record.termination = "f" * 60_000
    telemetry.record(record)
    assert len(telemetry.dump()) < 8192
    assert not record.user_agent and not record.forwarded_for


def test_failures_stay_longer_than_what_went_well():
    telemetry = Telemetry()
    telemetry.record(request(status=503, reasons=(Reason.UPSTREAM_OVERFLOW,)))
    for _ in range(1000):
        telemetry.record(request())
    decisions = dump_of(telemetry).decisions
    assert [decision.status for decision in decisions] == [503, *[200] * 256]
    assert [decision.failed for decision in decisions[:2]] == [True, False]
    assert not dump_of(telemetry).decisions


def test_a_dump_has_what_is_new():
    telemetry = Telemetry()
    telemetry.record(request())
    telemetry.names.answered += 3
    first = dump_of(telemetry)
    assert (len(first.http), first.names.answered) == (1, 3)
    second = dump_of(telemetry)
    assert (second.http, second.names.answered) == ([], 0)


def test_a_service_that_was_dialled_has_one_series_whatever_host_was_asked_for():
    telemetry = Telemetry()
    service = Service(host="reviews.default.svc.cluster.local", name="reviews", namespace="default")
    for number in range(200):
        record = request(cluster=None, status=404, reasons=(Reason.ROUTE_NOT_FOUND,), authority=b"h%d" % number)
        record.service = service
        telemetry.record(record)
    (counts,) = dump_of(telemetry).http
    assert (counts.requests, counts.labels[HTTP_LABELS.index("destination_service_name")]) == (200, "reviews")
