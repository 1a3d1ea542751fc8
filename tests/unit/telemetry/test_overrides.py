"""What Telemetry makes of metrics, from a worker's records to the page."""

from prometheus_client.parser import text_string_to_metric_families
from tests.asking import views_of_text
from tests.unit.routing.test_observation import MESH, telemetry
from tests.unit.telemetry.samples import connection, request

from nodemesh.telemetry import overrides as overrides_module
from nodemesh.telemetry.exposition import MetricsPage, render
from nodemesh.telemetry.labels import HTTP_LABELS
from nodemesh.telemetry.overrides import LONGEST, LONGEST_TEXT, STANDARD, without_values
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals


def samples(overrides, *records, before=()):
    """The page's samples by their names, after `records` under these overrides, and `before` without any."""
    worker, totals = Telemetry(), Totals()
    for record in before:
        worker.record(record)
    totals.add(worker.dump(), 0.0)
    text = telemetry("a", "istio-system", f"{{metrics: [{{overrides: {overrides}}}]}}")
    worker.see(views_of_text(MESH, text).tables)
    for record in records:
        worker.record(record)
    totals.add(worker.dump(), 0.0)
    page = MetricsPage(http=list(totals.http.values()), tcp=list(totals.tcp.values()), own=lambda left_out: ())
    found = {}
    for family in text_string_to_metric_families(b"".join(render(page)).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found, totals


def test_a_metric_is_switched_off_for_one_side():
    found, _ = samples("[{match: {metric: REQUEST_SIZE, mode: SERVER}, disabled: true}]", request())
    assert [s.labels["reporter"] for s in found["istio_request_bytes_sum"]] == ["source"]
    assert [s.labels["reporter"] for s in found["istio_requests_total"]] == ["source", "destination"]


def test_all_are_switched_off_and_one_is_back():
    overrides = "[{disabled: true}, {match: {metric: REQUEST_COUNT}, disabled: false}]"
    found, _ = samples(overrides, request(), connection(1, 2))
    assert set(found) == {"istio_requests_total"}


def test_a_label_that_no_metric_has_costs_no_series():
    one, two = request(), request()
    two.client = one.client
    overrides = "[{tagOverrides: {destination_app: {operation: REMOVE}, response_code: {operation: REMOVE}}}]"
    found, totals = samples(overrides, request(status=200), request(status=404))
    assert {row.counts.labels[HTTP_LABELS.index("destination_app")] for row in totals.http.values()} == {""}
    both = found["istio_requests_total"]
    assert [s.value for s in both] == [2, 2], "the same labels are one sample"
    assert not {"destination_app", "response_code"} & both[0].labels.keys()
    assert found["istio_request_duration_milliseconds_count"][0].value == 2


def test_what_was_counted_before_is_in_the_same_sample():
    """Prometheus refuses a page with the same sample twice."""
    found, _ = samples("[{match: {metric: REQUEST_SIZE}, disabled: true}]", request(), before=[request(), request()])
    assert [s.value for s in found["istio_requests_total"]] == [3, 3]
    assert found["istio_request_bytes_count"][0].value == 2


def test_labels_get_the_values_of_expressions():
    overrides = (
        "[{match: {metric: REQUEST_COUNT}, tagOverrides: {host: {value: request.host}, team: {value: \"'a'\"}}}]"
    )
    found, _ = samples(overrides, request(authority=b"a"), request(authority=b"b"), request(authority=b"b"))
    source = {s.labels["host"]: s.value for s in found["istio_requests_total"] if s.labels["reporter"] == "source"}
    assert source == {"a": 1, "b": 2}
    assert {s.labels["team"] for s in found["istio_requests_total"]} == {"a"}
    assert [s.value for s in found["istio_request_bytes_count"]] == [3, 3] and "host" not in found[
        "istio_request_bytes_count"
    ][0].labels


def test_values_are_bounded_in_number_and_length():
    overrides = "[{tagOverrides: {path: {value: \"request.headers['x']\"}}}]"
    records = [request() for _ in range(400)]
    for number, record in enumerate(records):
        record.fields = {b"x": b"%d" % number + b"y" * 1000 + b"\n"}
    found, totals = samples(overrides, *records)
    assert len(totals.http) < 200 and totals.gone.folded
    source = [s for s in found["istio_requests_total"] if s.labels["reporter"] == "source"]
    assert sum(s.value for s in source) == 400
    assert max(len(s.labels["path"]) for s in source) == LONGEST
    assert "unknown" in {s.labels["path"] for s in source}


def test_the_servers_own_word_counts_for_what_it_would_report():
    """SERVER is the destination's workload, by its own namespace and labels."""
    text = (
        "{selector: {matchLabels: {app: reviews}}, metrics: [{overrides: [{match: {mode: SERVER}, disabled: true}]}]}"
    )
    worker, totals = Telemetry(), Totals()
    worker.see(views_of_text(MESH, telemetry("a", "default", text)).tables)
    worker.record(request())
    totals.add(worker.dump(), 0.0)
    page = MetricsPage(http=list(totals.http.values()), tcp=(), own=lambda left_out: ())
    assert b'reporter="source"' in b"".join(render(page)) and b'reporter="destination"' not in b"".join(render(page))


def test_a_standard_series_stays_as_it_is():
    assert without_values(STANDARD) == STANDARD


def test_what_values_make_long_is_not_told_apart():
    tags = [f"a_label_with_a_long_name_{n}: {{value: \"request.headers['x']\"}}" for n in range(60)]
    both = ", ".join(f"{{tagOverrides: {{{', '.join(half)}}}}}" for half in (tags[:30], tags[30:]))
    records = [request() for _ in range(20)]
    for number, record in enumerate(records):
        record.fields = {b"x": b"%d" % number * LONGEST}
        record.client, record.cluster = records[0].client, records[0].cluster
    found, totals = samples(f"[{both}]", *records)
    assert {len(text) <= LONGEST_TEXT for (text, *_) in totals.http} == {True} and len(totals.http) == 1
    assert {s.labels["a_label_with_a_long_name_0"] for s in found["istio_requests_total"]} == {"unknown"}


def test_an_expression_for_many_metrics_is_evaluated_once(monkeypatch):
    asked = []
    counting = lambda text, otherwise: lambda record: asked.append(text) or "a"  # noqa: E731
    monkeypatch.setattr(overrides_module, "text_of", counting)
    found, _ = samples("[{tagOverrides: {host: {value: request.host}, also: {value: request.host}}}]", request())
    assert {s.labels["also"] for s in found["istio_requests_total"]} == {"a"}
    assert len(asked) == 1


def test_long_values_fill_no_index(monkeypatch):
    monkeypatch.setattr("nodemesh.telemetry.telemetry.CACHE_LIMIT", 100)
    worker = Telemetry()
    tags = ", ".join(f"label{n}: {{value: \"request.headers['x']\"}}" for n in range(20))
    text = telemetry("a", "istio-system", f"{{metrics: [{{overrides: [{{tagOverrides: {{{tags}}}}}]}}]}}")
    worker.see(views_of_text(MESH, text).tables)
    first = request()
    for number in range(90):
        record = request(client=first.client)
        record.fields = {b"x": b"%d" % number * 20}
        worker.record(record)
        worker.account()
        assert sum(len(str(key[-1])) for key in worker._http_cache) <= 100 * 256 + LONGEST_TEXT
    assert worker._http_cache
