import os

from tests.unit.node.numbers import FULL, NUMBERS

from nodemesh import __version__
from nodemesh.node.metrics import families, process_use
from nodemesh.telemetry.exposition import MetricsPage, render
from nodemesh.telemetry.totals import Totals


def test_every_number_stands_under_its_name():
    found = {family.name: dict(family.samples) for family in families(NUMBERS)}
    assert found["nodemesh_ready"] == {(): True}
    assert found["nodemesh_config_broken"] == {(): True}
    assert found["nodemesh_config_reloads"] == {("ok",): 3, ("failed",): 1}
    assert found["nodemesh_process_restarts"][("worker-0",)] == 4
    assert found["nodemesh_kernel_events"] == {("connect4", "REDIRECTED"): 5}
    assert found["nodemesh_pods_dns_captured"] == {(): 2}
    assert found["nodemesh_dns_queries"] == {
        ("answered",): 6, ("forwarded",): 5, ("refused",): 4, ("malformed",): 3,
    }  # fmt: skip
    assert found["nodemesh_http_rules_bypassed"] == {("web.default.svc.cluster.local", "80", "tls"): 3}
    assert found["nodemesh_dns_failures"] == {("timeout",): 2, ("unreachable",): 1, ("mismatched",): 0}
    assert found["nodemesh_access_log_lines_lost"] == {(): 9}
    assert list(found["nodemesh_process_resident_memory_bytes"]) == [("control",)]


def test_a_process_that_is_gone_uses_nothing():
    seconds, resident = process_use(os.getpid()) or (0, 0)
    assert seconds > 0 and resident > 1_000_000
    assert process_use(2**22 + 1) is None


def test_what_the_data_plane_does_and_what_may_go_wrong():
    found = {family.name: dict(family.samples) for family in families(FULL)}
    assert found["nodemesh_early_exits"] == {("upstream_overflow",): 3}
    assert found["nodemesh_retries"] == {(): 5}
    assert found["nodemesh_open_connections"] == {("0",): 7.0}
    assert found["nodemesh_worker_loop_lag_seconds"] == {("0",): 0.25}
    assert found["nodemesh_upstream_ejected"] == {("reviews:80", "v1"): 1}
    assert found["nodemesh_upstream_requests"] == {("reviews:80", "v1"): 2}
    assert (found["nodemesh_kernel_map_entries"], found["nodemesh_kernel_map_size"]) == (
        {("services",): 3},
        {("services",): 100},
    )
    expiry = found["nodemesh_certificate_expiry_timestamp_seconds"]
    assert expiry == {("Gateway", "default", "g", "spec.servers[0].tls"): 1e9}
    assert found["nodemesh_config_findings"] == {("error", "no-host"): 2}
    assert found["nodemesh_series_folded"] == {(): 9}
    assert found["nodemesh_expired_requests"] == {(): 40}
    assert found["nodemesh_series"] == {("http",): 8, ("tcp",): 1}
    assert found["nodemesh_process_open_fds"][("control",)] > 2
    assert found["istio_build"].keys() == {("nodemesh", __version__)}
    totals = Totals()
    page = MetricsPage(http=list(totals.http.values()), tcp=[], own=lambda left_out: families(FULL))
    text = b"".join(render(page)).decode()
    assert 'nodemesh_propagation_seconds_bucket{le="0.0005"} 1.0' in text
    assert "nodemesh_propagation_seconds_sum 0.00025" in text
