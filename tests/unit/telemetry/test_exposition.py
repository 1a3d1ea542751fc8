import msgspec
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.telemetry.samples import connection, request

from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.exposition import Family, render
from nodemesh.telemetry.telemetry import Telemetry


def page(*own: Family) -> dict[str, list]:
    telemetry = Telemetry()
    telemetry.record(request())
    telemetry.record(request())
    telemetry.opened(connection(0, 0))
    telemetry.record(connection(5, 6))
    dump = msgspec.msgpack.decode(telemetry.dump(), type=Dump)
    samples: dict[str, list] = {}
    for family in text_string_to_metric_families(render(dump, own).decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


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
    own = Family(
        name="nodemesh_worker_restarts", help="Restarts.", kind="counter", labels=("worker",), samples=[(("0",), 3)]
    )
    (sample,) = page(own)["nodemesh_worker_restarts_total"]
    assert (sample.labels, sample.value) == ({"worker": "0"}, 3)
