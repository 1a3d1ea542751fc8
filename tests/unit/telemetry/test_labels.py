"""Labels of records: flags in the order in which they came about, destinations by their owners' names."""

import msgspec
from tests.unit.telemetry.samples import REVIEWS, request

from nodemesh.reasons import TEXTS, Reason
from nodemesh.registry.snapshot import Service
from nodemesh.telemetry.labels import FLAGS, HTTP_LABELS, http_labels


def labels_of(record) -> dict[str, str]:
    return dict(zip(HTTP_LABELS, http_labels(record, "host", record.status, -1), strict=True))


def test_every_reason_has_its_flag():
    flags = {text.flag for text in TEXTS.values()} - {"-"}
    assert all(FLAGS[(reason,)] in flags | {""} for reason in Reason)


def test_flags_come_once_and_in_the_order_in_which_they_were_set():
    """Measured of Envoy 1.40: `URX,UF` where retries are used up, `DI,UT` where a delay comes before the timeout."""
    assert FLAGS[(Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED, Reason.UPSTREAM_CONNECTION_FAILURE)] == "URX,UF"
    assert FLAGS[(Reason.FAULT_DELAY, Reason.PER_TRY_TIMEOUT, Reason.RESPONSE_TIMEOUT)] == "DI,UT"


def test_a_destination_is_named_by_its_owner():
    """A StatefulSet's pod is not a workload of its own."""
    (endpoint,) = REVIEWS.endpoints
    owned = msgspec.structs.replace(endpoint, labels={}, workload="default/store-0", owner="store")
    record = request(cluster=msgspec.structs.replace(REVIEWS, endpoints=(owned,)))
    record.upstream_host = "10.0.0.7:9080"
    labels = labels_of(record)
    assert (labels["destination_workload"], labels["destination_canonical_service"]) == ("store", "store")


def test_what_the_proxy_answers_itself_counts_under_the_service_that_was_dialled():
    record = request(cluster=None, status=404, reasons=(Reason.ROUTE_NOT_FOUND,), authority=b"anything")
    record.service = Service(host="reviews.default.svc.cluster.local", name="reviews", namespace="default")
    labels = labels_of(record)
    names = ("destination_service", "destination_service_name", "destination_service_namespace", "destination_workload")
    assert [labels[name] for name in names] == ["reviews.default.svc.cluster.local", "reviews", "default", "unknown"]
