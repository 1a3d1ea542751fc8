"""tests/unit mirrors the package: which source file is tested where."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "agent" / "nodemesh"

#: Source files without a test file of their own, and the test that would fail first if they broke. Whole packages of
#: structs (`config`) and what needs root, namespaces or an API server are tested where they do their work.
ELSEWHERE = {
    "admin/graph.py": "unit/admin/test_http.py",
    "admin/pages.py": "unit/admin/test_http.py",
    "admin/state.py": "unit/admin/test_http.py",
    "cli/client.py": "unit/cli/test_show.py",
    "cli/crds.py": "unit/cli/test_main.py",
    "cli/demo.py": "netns/test_demo.py",
    "cli/doctor.py": "netns/test_doctor.py",
    "cli/output.py": "unit/cli/test_show.py",
    "cli/run.py": "unit/cli/test_run_expose.py",
    "cli/stage.py": "unit/cli/test_scenarios.py",
    "cli/uninstall.py": "netns/test_node_run.py",
    "config/core.py": "unit/config/test_decode.py",
    "config/credential.py": "unit/node/test_credentials.py",
    "config/destinationrule.py": "unit/config/test_decode.py",
    "config/gateway.py": "conformance/config/test_inventory.py",
    "config/gatewayapi/common.py": "conformance/config/test_corpus.py",
    "config/gatewayapi/filters.py": "conformance/config/test_corpus.py",
    "config/gatewayapi/gateways.py": "conformance/config/test_corpus.py",
    "config/gatewayapi/policies.py": "conformance/config/test_corpus.py",
    "config/gatewayapi/routes.py": "conformance/config/test_corpus.py",
    "config/validate/gatewayapi/common.py": "conformance/config/test_corpus.py",
    "config/validate/gatewayapi/filters.py": "conformance/config/test_corpus.py",
    "config/validate/gatewayapi/gateways.py": "conformance/config/test_corpus.py",
    "config/validate/gatewayapi/policies.py": "conformance/config/test_corpus.py",
    "config/validate/gatewayapi/routes.py": "conformance/config/test_corpus.py",
    "config/validate/updates.py": "unit/registry/sources/test_directory.py",
    "config/meshconfig.py": "unit/config/test_decode.py",
    "config/meta.py": "unit/config/test_load.py",
    "config/serviceentry.py": "conformance/config/test_inventory.py",
    "config/sidecar.py": "conformance/config/test_inventory.py",
    "config/virtualservice.py": "unit/config/test_decode.py",
    "config/workload.py": "conformance/config/test_inventory.py",
    "datapath/attach.py": "netns/test_datapath_lifecycle.py",
    "datapath/bpf.py": "netns/test_datapath_lifecycle.py",
    "datapath/bpffs.py": "netns/test_datapath_lifecycle.py",
    "datapath/counters.py": "netns/test_datapath_kernel.py",
    "datapath/heartbeat.py": "netns/test_datapath_redirect.py",
    "datapath/hooks.py": "unit/datapath/test_maps.py",
    "datapath/namespaces.py": "netns/test_datapath_redirect.py",
    "datapath/nameservers.py": "netns/test_mesh_dns.py",
    "datapath/origin.py": "netns/test_node_enrol.py",
    "datapath/pins.py": "netns/test_datapath_lifecycle.py",
    "datapath/places.py": "unit/datapath/test_plan.py",
    "datapath/selftest.py": "netns/test_datapath_selftest.py",
    "datapath/sockmap.py": "netns/test_node_sockmap.py",
    "datapath/sync.py": "netns/test_datapath_sync.py",
    "datapath/torture/app.py": "netns/test_datapath_sockmap.py",
    "datapath/torture/cases.py": "netns/test_datapath_sockmap.py",
    "datapath/torture/client.py": "netns/test_datapath_sockmap.py",
    "datapath/torture/proxy.py": "netns/test_datapath_sockmap.py",
    "datapath/torture/run.py": "netns/test_datapath_sockmap.py",
    "datapath/traffic.py": "netns/test_datapath_traffic.py",
    "datapath/uninstall.py": "netns/test_datapath_lifecycle.py",
    "lab/agent.py": "netns/test_node_run.py",
    "lab/certificates.py": "playbooks/test_tls.py",
    "lab/cgroup.py": "netns/test_lab.py",
    "lab/lab.py": "netns/test_lab.py",
    "lab/network.py": "netns/test_lab.py",
    "lab/pause.py": "netns/test_lab.py",
    "lab/place.py": "netns/test_lab.py",
    "lab/pod.py": "unit/lab/test_service.py",
    "node/cluster.py": "kubernetes/test_run.py",
    "node/control.py": "unit/cli/test_run_expose.py",
    "node/election.py": "kubernetes/test_election.py",
    "node/enrol.py": "netns/test_node_enrol.py",
    "node/kernel.py": "netns/test_node_enrol.py",
    "node/kubeconfig.py": "kubernetes/test_login.py",
    "node/platform.py": "netns/test_node_run.py",
    "node/pod_events.py": "kubernetes/test_pod_events.py",
    "node/publish.py": "unit/cli/test_run_expose.py",
    "node/remotes.py": "kubernetes/test_clusters.py",
    "node/reporter.py": "kubernetes/test_report.py",
    "node/rundir.py": "unit/cli/test_run_expose.py",
    "node/status.py": "unit/cli/test_run_expose.py",
    "node/statuses.py": "kubernetes/test_statuses.py",
    "node/supervisor.py": "unit/cli/test_run_expose.py",
    "node/upgrade.py": "netns/test_node_run.py",
    "node/worker.py": "unit/cli/test_run_expose.py",
    "proxy/io/listener.py": "unit/proxy/io/test_reactor.py",
    "proxy/http/call.py": "playbooks/test_resilience.py",
    "proxy/tls/certificates.py": "playbooks/test_tls.py",
    "proxy/io/datagrams.py": "netns/test_mesh_dns.py",
    "proxy/http1/server.py": "playbooks/test_http.py",
    "proxy/tcp/early.py": "playbooks/test_tcp.py",
    "proxy/http/edge.py": "playbooks/test_gateway.py",
    "proxy/http/fields.py": "unit/proxy/http/test_lines.py",
    "proxy/http/exchange.py": "playbooks/test_http.py",
    "proxy/accept/arrival.py": "playbooks/test_gateway.py",
    "proxy/http/head.py": "unit/proxy/http1/test_request.py",
    "proxy/http/errors.py": "unit/proxy/http1/test_request.py",
    "proxy/http2/codes.py": "unit/proxy/http2/test_connection.py",
    "proxy/http2/fault.py": "unit/proxy/http2/test_connection.py",
    "proxy/http2/roles.py": "unit/proxy/http2/test_connection.py",
    "proxy/messages.py": "unit/proxy/test_worker.py",
    "proxy/dns/nameserver.py": "playbooks/test_dns.py",
    "proxy/pod.py": "playbooks/test_http.py",
    "proxy/proxy.py": "playbooks/test_http.py",
    "proxy/http/records.py": "playbooks/test_http.py",
    "proxy/tcp/relay.py": "playbooks/test_tcp.py",
    "proxy/io/sockets.py": "unit/proxy/io/test_reactor.py",
    "proxy/target.py": "playbooks/test_resilience.py",
    "proxy/tcp/connection.py": "playbooks/test_tcp.py",
    "proxy/tls/transport.py": "playbooks/test_tls.py",
    "proxy/transport.py": "unit/proxy/io/test_reactor.py",
    "proxy/http/paths.py": "unit/proxy/http1/test_request.py",
    "proxy/http2/heads.py": "playbooks/test_http2.py",
    "proxy/accept/http.py": "playbooks/test_http2.py",
    "proxy/http/connect_error.py": "playbooks/test_leaving.py",
    "proxy/http2/client.py": "playbooks/test_http2.py",
    "proxy/http2/client_stream.py": "playbooks/test_http2.py",
    "proxy/http2/server.py": "playbooks/test_http2.py",
    "proxy/http2/server_stream.py": "playbooks/test_http2.py",
    "proxy/http2/tunnel.py": "playbooks/test_http2.py",
    "proxy/http/responder.py": "playbooks/test_http.py",
    "proxy/http/security.py": "playbooks/test_gateway.py",
    "proxy/http/session.py": "playbooks/test_http.py",
    "proxy/http/stream.py": "playbooks/test_resilience.py",
    "proxy/http/tunnel.py": "playbooks/test_http.py",
    "proxy/http1/client.py": "playbooks/test_resilience.py",
    "reasons.py": "unit/telemetry/test_labels.py",
    "registry/assemble.py": "unit/registry/test_services.py",
    "registry/changed.py": "unit/routing/test_listing.py",
    "registry/snapshot.py": "unit/registry/test_services.py",
    "registry/sources/api.py": "kubernetes/test_follow.py",
    "registry/sources/cluster.py": "kubernetes/test_follow.py",
    "registry/sources/kubernetes.py": "kubernetes/test_follow.py",
    "registry/sources/reflector.py": "kubernetes/test_follow.py",
    "registry/sources/secrets.py": "kubernetes/test_secrets.py",
    "registry/workloads.py": "unit/routing/test_routes.py",
    "routing/answer.py": "unit/routing/test_explain.py",
    "routing/client.py": "unit/routing/test_view.py",
    "routing/compile.py": "unit/routing/test_routes.py",
    "routing/decision.py": "unit/routing/test_view.py",
    "routing/destinationrules.py": "unit/routing/test_clusters.py",
    "routing/frontend.py": "unit/routing/test_frontends.py",
    "routing/headers.py": "unit/routing/test_routes.py",
    "routing/lint/codes.py": "unit/routing/test_lint.py",
    "routing/lint/conflicts.py": "unit/routing/test_lint.py",
    "routing/lint/findings.py": "unit/routing/test_lint.py",
    "routing/lint/gateways.py": "unit/routing/test_lint.py",
    "routing/lint/hosts.py": "unit/routing/test_lint.py",
    "routing/lint/ownership.py": "unit/routing/test_ownership.py",
    "routing/lint/regexes.py": "unit/routing/test_lint.py",
    "routing/lint/services.py": "unit/routing/test_lint.py",
    "routing/lookup.py": "unit/routing/test_visibility.py",
    "routing/policies.py": "unit/routing/test_routes.py",
    "routing/question.py": "unit/routing/test_explain.py",
    "routing/request.py": "unit/routing/test_match.py",
    "routing/scope.py": "unit/routing/test_visibility.py",
    "routing/servername.py": "unit/routing/test_gateways.py",
    "routing/sight.py": "unit/routing/test_view.py",
    "routing/tables.py": "unit/routing/test_view.py",
    "routing/views.py": "unit/routing/test_view.py",
    "routing/virtualservices.py": "unit/routing/test_routes.py",
    "sim/network.py": "playbooks/test_http.py",
    "sim/pipe.py": "playbooks/test_http.py",
    "sim/world.py": "playbooks/test_http.py",
    "telemetry/decisions.py": "unit/telemetry/test_telemetry.py",
    "telemetry/dump.py": "unit/telemetry/test_telemetry.py",
    "telemetry/histogram.py": "unit/telemetry/test_telemetry.py",
    "telemetry/names.py": "unit/telemetry/test_totals.py",
    "telemetry/record.py": "unit/telemetry/test_access_log.py",
    "telemetry/series.py": "unit/telemetry/test_telemetry.py",
}

#: Tests of what several files do together, and the file where that begins.
TOGETHER = {
    "cli/test_run_east_west.py": "cli/run.py",
    "cli/test_run_expose.py": "cli/run.py",
    "cli/test_run_gateway.py": "cli/run.py",
    "cli/test_run_hangs.py": "node/supervisor.py",
    "config/test_fuzz.py": "config/load.py",
    "routing/test_lint.py": "routing/lint/findings.py",
    "routing/test_visibility.py": "routing/lookup.py",
}


def sources() -> set[str]:
    return {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if not path.name.startswith("__")}


def mirrored() -> dict[str, str]:
    """Test file -> the source file that it is named for."""
    found = {}
    for path in TESTS.glob("unit/*/**/test_*.py"):
        test = path.relative_to(TESTS / "unit")
        found[str(test)] = str(test.with_name(test.name.removeprefix("test_")))
    return found


def test_each_test_file_names_a_source_file():
    known = sources()
    assert not {test for test, source in mirrored().items() if source not in known and test not in TOGETHER}
    assert not {test for test in TOGETHER if test not in mirrored() or mirrored()[test] in known}
    assert set(TOGETHER.values()) <= known


def test_each_source_file_has_its_own_test_or_a_line_in_a_table():
    own = set(mirrored().values())
    assert sources() - own - set(ELSEWHERE) == set(), "add a test file, or a line to the table"
    assert set(ELSEWHERE) & own == set(), "has a test file of its own by now: take it out of the table"
    assert set(ELSEWHERE) - sources() == set(), "is gone: take it out of the table"


def test_the_tests_of_the_table_exist():
    assert not {test for test in ELSEWHERE.values() if not (TESTS / test).is_file()}
