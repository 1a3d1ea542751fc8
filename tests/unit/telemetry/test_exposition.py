import gzip
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families
from tests.unit.telemetry.samples import CLIENT, connection, request

from nodemesh.routing.client import Client
from nodemesh.telemetry import exposition
from nodemesh.telemetry.exposition import MetricFamily, MetricsPage, packer, render
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals


def counted(*records) -> Totals:
    telemetry = Telemetry()
    for record in records:
        telemetry.record(record)
    telemetry.opened(connection(0, 0))
    telemetry.record(connection(5, 6))
    totals = Totals()
    totals.add(telemetry.dump(), 0.0)
    return totals


def page_of(
    totals: Totals, own: Callable[[tuple[str, ...]], tuple[MetricFamily, ...]] = lambda left_out: (), **settings: bool
) -> MetricsPage:
    return MetricsPage(
        http=list(totals.http.values()),
        tcp=list(totals.tcp.values()),
        messages=list(totals.messages.values()),
        own=own,
        **settings,
    )


def samples_of(page: MetricsPage) -> dict[str, list]:
    samples: dict[str, list] = {}
    for family in text_string_to_metric_families(b"".join(render(page)).decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def page(*own: MetricFamily) -> dict[str, list]:
    return samples_of(page_of(counted(request(), request()), lambda left_out: own, destination=False))


def test_istios_metrics_carry_their_names_and_values():
    samples = page()
    (requests,) = samples["istio_requests_total"]
    assert requests.value == 2
    assert requests.labels["destination_service_name"] == "reviews"
    assert samples["istio_request_duration_milliseconds_sum"][0].value == 25
    assert samples["istio_response_bytes_count"][0].value == 2
    assert samples["istio_tcp_received_bytes_total"][0].value == 6


def test_buckets_are_cumulative():
    buckets = {s.labels["le"]: s.value for s in page()["istio_request_duration_milliseconds_bucket"]}
    assert (buckets["10.0"], buckets["25.0"], buckets["+Inf"]) == (0, 2, 2)


def test_the_agents_own_numbers_stand_beside():
    own = MetricFamily(
        name="nodemesh_worker_restarts", help="Restarts.", kind="counter", labels=("worker",), samples=[(("0",), 3)]
    )
    (sample,) = page(own)["nodemesh_worker_restarts_total"]
    assert (sample.labels, sample.value) == ({"worker": "0"}, 3)


def test_what_is_known_of_both_ends_is_reported_for_both():
    """As Istio's two proxies would: the dashboards for a service ask the destination's side."""
    samples = samples_of(page_of(counted(request(), request(cluster=None, status=404))))
    reported = [(s.labels["reporter"], s.labels["connection_security_policy"]) for s in samples["istio_requests_total"]]
    assert sorted(reported) == [("destination", "none"), ("source", "unknown"), ("source", "unknown")]
    assert {s.labels["reporter"] for s in samples["istio_tcp_sent_bytes_total"]} == {"source", "destination"}
    found = {s.labels["reporter"]: s for s in samples["istio_requests_total"] if s.labels["response_code"] == "200"}
    same = {name: value for name, value in found["source"].labels.items() if name not in found["destination"].labels}
    assert not same
    assert found["source"].value == found["destination"].value == 1


def test_a_page_without_room_leaves_histograms_out_and_says_so(monkeypatch):
    records = [request(status=status) for status in (200, 201, 202, 203)]
    told: list[tuple[str, ...]] = []

    def own(left_out: tuple[str, ...]) -> tuple[MetricFamily, ...]:
        told.append(left_out)
        return ()

    monkeypatch.setattr(exposition, "HISTOGRAM_LINES", 8 * 22)
    samples = samples_of(page_of(counted(*records), own))
    assert "istio_request_bytes_sum" not in samples and "istio_response_bytes_sum" not in samples
    assert len(samples["istio_request_duration_milliseconds_sum"]) == 8
    monkeypatch.setattr(exposition, "HISTOGRAM_LINES", 4 * 22)
    samples = samples_of(page_of(counted(*records), own))
    assert [s.labels["reporter"] for s in samples["istio_request_duration_milliseconds_sum"]] == ["source"] * 4
    assert len(samples["istio_requests_total"]) == 8
    sizes = ("istio_request_bytes", "istio_response_bytes")
    assert told == [sizes, (*sizes, "istio_request_duration_milliseconds")]


def test_sizes_can_be_switched_off():
    samples = samples_of(page_of(counted(request()), sizes=False))
    assert "istio_request_bytes_sum" not in samples and "istio_request_duration_milliseconds_sum" in samples


def test_labels_with_quotes_and_line_feeds_are_escaped():
    odd = Client(namespace="default", name="a", labels={"app": 'a"b\\c\nd'})
    (sample,) = samples_of(page_of(counted(request(client=odd)), destination=False))["istio_requests_total"]
    assert sample.labels["source_app"] == 'a"b\\c\nd'


def test_the_zipped_page_is_the_same_page_and_small():
    clients = [Client(namespace="default", name=f"{CLIENT.name}-{number}", labels={}) for number in range(20)]
    totals = counted(*[request(client=client) for client in clients])
    plain = b"".join(render(page_of(totals)))
    pack = packer()
    packed = b"".join((*map(pack.compress, render(page_of(totals))), pack.flush()))
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 50


def test_messages_of_calls_are_counted_under_their_ends_alone():
    """Istio's proxy reports them while a call goes on, without a status, flags or protocol."""
    telemetry = Telemetry()
    telemetry.add_messages(request(), 2, 5)
    telemetry.add_messages(request(status=503), 1, 0)
    totals = Totals()
    totals.add(telemetry.dump(), 0.0)
    samples = samples_of(page_of(totals))
    assert {s.labels["reporter"]: s.value for s in samples["istio_request_messages_total"]} == {
        "source": 3,
        "destination": 3,
    }
    found = samples["istio_response_messages_total"][0]
    assert found.value == 5 and found.labels["destination_workload"] == "reviews-v2"
    hidden = {"response_code", "request_protocol", "response_flags", "connection_security_policy"}
    assert not hidden & found.labels.keys()
