"""`nodemesh run --expose` from outside: real processes, real upstreams, curl."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter

from tests.unit.cli.mesh import Mesh, alive, cluster, free_port, kill, rules, until

from nodemesh import __version__
from nodemesh.node.child import environment

TO_V1 = "- route: [{destination: {host: reviews, subset: v1}}]"
TO_V2 = "- route: [{destination: {host: reviews, subset: v2}}]"


def test_requests_are_routed_by_the_rules(folder, v1, v2):
    jason = "- match: [{headers: {end-user: {exact: jason}}}]\n  route: [{destination: {host: reviews, subset: v2}}]"
    nowhere = "- match: [{uri: {prefix: /nowhere}}]\n  route: [{destination: {host: reviews, subset: v9}}]"
    only = "- match: [{uri: {prefix: /ok}}]\n  route: [{destination: {host: reviews, subset: v1}}]"
    (folder / "mesh.yaml").write_text(cluster(v1, v2) + rules(f"{jason}\n{nowhere}\n{only}"))
    with Mesh(folder, "--access-log", "-") as mesh:
        assert mesh.curl("/ok") == (200, "v1")
        assert mesh.curl("/ok", "-H", "end-user: jason") == (200, "v2")
        assert mesh.curl("/other") == (404, "")
        assert mesh.curl("/nowhere").status == 503
        assert mesh.metric("istio_requests_total", response_code="200", destination_version="v2") == 1
        assert mesh.metric("istio_requests_total", response_code="404", response_flags="NR") == 1
        assert mesh.metric("istio_request_duration_milliseconds_count", destination_service_name="reviews") >= 2
        until(lambda: len(mesh.stdout.read_text().splitlines()) == 4)
        first = mesh.stdout.read_text().splitlines()[0]
        assert '"GET /ok HTTP/1.1" 200 - via_upstream' in first
        assert "outbound|9080|v1|reviews.default.svc.cluster.local" in first
        recent = mesh.api("/connections")["recent"]
        assert [row["status"] for row in recent] == [503, 404, 200, 200]
        (service,) = mesh.api("/services")
        assert service["ports"][0]["mode"] == "proxy"


def test_weights_split_requests(folder, v1, v2):
    split = (
        "- route:\n  - {destination: {host: reviews, subset: v1}, weight: 80}\n"
        "  - {destination: {host: reviews, subset: v2}, weight: 20}"
    )
    (folder / "mesh.yaml").write_text(cluster(v1, v2) + rules(split))
    with Mesh(folder) as mesh:
        port = mesh.exposed["reviews:9080"]
        done = subprocess.run(
            ["curl", "-sS", "-H", "host: reviews:9080", "-w", "\n", f"http://127.0.0.1:{port}/[1-400]"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        bodies = Counter(done.stdout.split())
        assert set(bodies) == {"v1", "v2"}
        assert 40 <= bodies["v2"] <= 125  # 80 expected; five standard deviations are 40


def test_no_endpoint_is_a_503_that_says_so(folder, v1):
    (folder / "mesh.yaml").write_text(cluster() + rules("- route: [{destination: {host: reviews}}]"))
    with Mesh(folder) as mesh:
        assert mesh.curl() == (503, "no healthy upstream")


def test_a_service_entry_is_resolved_by_name(folder, v1):
    entry = (
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: outside, namespace: default}\n"
        "spec:\n  hosts: [outside.example]\n  resolution: DNS\n  location: MESH_EXTERNAL\n"
        f"  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {v1.port}}}]\n"
        "  endpoints: [{address: localhost}]\n"
    )
    (folder / "mesh.yaml").write_text(entry)
    with Mesh(folder, expose=("outside.example:80",)) as mesh:
        assert until(lambda: mesh.curl(name="outside.example:80").status == 200)
        assert mesh.curl(name="outside.example:80") == (200, "v1")


def test_changes_take_effect_and_broken_ones_keep_the_last_good_rules(folder, v1, v2):
    rules_file = folder / "rules.yaml"
    (folder / "cluster.yaml").write_text(cluster(v1, v2))
    rules_file.write_text(rules(TO_V1))
    with Mesh(folder) as mesh:
        assert mesh.curl() == (200, "v1")
        rules_file.write_text(rules(TO_V2))
        until(lambda: mesh.curl() == (200, "v2"))
        rules_file.write_text(rules(TO_V1).replace("route:", "rout:") + "# to be longer than what was there before\n")
        until(lambda: mesh.api("/status")["config"]["error"])
        assert str(rules_file) in mesh.api("/status")["config"]["error"]
        assert mesh.curl() == (200, "v2")
        assert mesh.metric("nodemesh_config_broken") == 1
        assert str(rules_file) in mesh.log()
        rules_file.write_text(rules(TO_V1) + "# mended, and longer again than the broken one was before it\n")
        until(lambda: mesh.curl() == (200, "v1"))
        until(lambda: mesh.api("/status")["config"]["modified"] == rules_file.stat().st_mtime_ns)
        assert mesh.api("/status")["config"]["error"] == ""
        assert mesh.metric("nodemesh_config_broken") == 0


def test_a_killed_worker_costs_its_own_connections_only(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, workers=2) as mesh:
        for _ in range(10):
            assert mesh.curl() == (200, "v1")
        counted = mesh.metric("istio_requests_total")
        assert counted == 10
        victim = mesh.children()["worker-0"]
        kill(victim)
        assert [mesh.curl() for _ in range(10)] == [(200, "v1")] * 10
        until(lambda: mesh.children().get("worker-0", victim) != victim)
        until(mesh.ready)
        assert mesh.metric("istio_requests_total") == 20
        assert mesh.metric("nodemesh_process_restarts_total", process="worker-0") == 1


def test_traffic_goes_on_while_control_is_dead_and_it_comes_back(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder) as mesh:
        assert mesh.curl() == (200, "v1")
        victim = mesh.children()["control"]
        kill(victim)
        assert [mesh.curl() for _ in range(5)] == [(200, "v1")] * 5
        until(lambda: mesh.children().get("control", victim) != victim)
        until(mesh.ready)
        assert mesh.curl() == (200, "v1")
        (folder / "mesh.yaml").write_text(cluster(v1) + rules("- directResponse: {status: 418}") + "# changed\n")
        until(lambda: mesh.curl().status == 418)


def test_sigterm_lets_open_requests_finish_and_leaves_nothing(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder) as mesh:
        children = mesh.children()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(mesh.curl("/slow")))
        asking.start()
        assert v1.waiting.acquire(timeout=10)
        assert mesh.process is not None
        mesh.process.send_signal(signal.SIGTERM)
        until(lambda: not alive(children["control"]))
        v1.release.set()
        asking.join(10)
        assert answers == [(200, "v1")]
        assert mesh.process.wait(10) == 0
        assert not [pid for pid in children.values() if alive(pid)]
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", mesh.exposed["reviews:9080"])) != 0
        assert "Traceback" not in mesh.log()


def run(*options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "nodemesh", "run", *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_errors_at_the_start_are_one_sentence_and_exit_code_1(folder, tmp_path):
    (folder / "mesh.yaml").write_text(cluster())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"127.0.0.1:{taken.getsockname()[1]}"
        free = f"127.0.0.1:{free_port()}"
        good = ["--config", str(folder), "--ebpf", "off", "--admin", free, "--expose", "reviews:9080=127.0.0.1:0"]
        broken = tmp_path / "broken.yaml"
        broken.write_text("kind: [")
        cases = [
            ([*good, "--admin", busy], f"{busy} is in use already"),
            ([*good, "--expose", f"a:1={busy}"], f"{busy} is in use already"),
            (["--config", "/no/such", *good[2:]], "/no/such: there is no such file or folder"),
            ([*good, "--expose", "nonsense"], "'nonsense' is not HOST:PORT=ADDR"),
            (["--config", str(broken), *good[2:]], "nothing but errors"),
        ]
        for options, sentence in cases:
            done = run(*options)
            assert done.returncode == 1, options
            lines = [line for line in done.stderr.splitlines() if line.startswith("nodemesh: ")]
            assert len(lines) == 1 and sentence in lines[0], done.stderr
            assert "Traceback" not in done.stderr


def test_a_broken_file_at_the_first_start_is_an_error_unless_told_to_go_on(folder, v1):
    """Later it keeps what was good; at first there is nothing to keep. A successor of control is no first start."""
    (folder / "a.yaml").write_text(cluster(v1) + rules(TO_V1))
    (folder / "broken.yaml").write_text(rules(TO_V1).replace("name: reviews", "name: other").replace("route:", "rout:"))
    start = ["--config", str(folder), "--ebpf", "off", "--expose", "reviews:9080=127.0.0.1:0"]
    done = run(*start, "--admin", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("nodemesh: ")]
    assert f"{folder}/broken.yaml:" in said and "unknown field `rout`" in said and "--keep-going" in said
    good = (folder / "broken.yaml").read_text()
    with Mesh(folder, "--keep-going") as mesh:
        assert mesh.curl() == (200, "v1")
    (folder / "broken.yaml").unlink()
    with Mesh(folder) as mesh:
        (folder / "broken.yaml").write_text(good)
        until(lambda: mesh.api("/status")["config"]["error"])
        before = mesh.children()["control"]
        kill(before)
        until(lambda: mesh.children().get("control", before) != before and mesh.ready())
        assert mesh.curl() == (200, "v1")


def test_an_empty_configuration_is_one(folder, v1):
    """It is ready, and follows what comes."""
    with Mesh(folder) as mesh:
        assert mesh.api("/status")["tables"]["version"] == 1
        (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
        until(lambda: mesh.curl() == (200, "v1"))


def test_words_that_find_nothing_are_named(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, expose=("reviews:9080", "rewiews:9080", "reviews:81")) as mesh:
        until(lambda: "--expose reviews:81" in mesh.log())
        log = mesh.log()
        assert "--as default/client: no Pod of this name is known" in log
        assert "--expose rewiews:9080: no service has this host and port; did you mean reviews?" in log
        assert "--expose reviews:9080:" not in log
        (folder / "mesh.yaml").write_text(cluster() + rules(TO_V1) + "# nobody is left" * 30)
        until(lambda: "reviews.default.svc.cluster.local has no endpoints" in mesh.log())
        assert mesh.log().count("--as default/client: no Pod") == 1, "once is enough"


def test_limits_count_for_the_node_not_for_one_worker(folder, v1):
    pool = "connectionPool: {http: {http2MaxRequests: 1, http1MaxPendingRequests: 1}}"
    limited = rules(TO_V1).replace("  host: reviews\n", f"  host: reviews\n  trafficPolicy: {{{pool}}}\n")
    (folder / "mesh.yaml").write_text(cluster(v1) + limited)
    with Mesh(folder, workers=2) as mesh:
        slow = threading.Thread(target=lambda: mesh.curl("/slow"))
        slow.start()
        assert v1.waiting.acquire(timeout=10)
        answers = {mesh.curl().status for _ in range(20)}  # whichever worker they reach
        assert answers == {503}
        v1.release.set()
        slow.join(10)
        until(lambda: mesh.curl().status == 200)


def test_a_successor_takes_over_without_a_gap(folder, v1, tmp_path):
    """RC-12."""
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, "--run-dir", str(tmp_path / "run")) as mesh:
        assert mesh.curl() == (200, "v1")
        old_worker = mesh.children()["worker-0"]
        slow_answers = []
        slow = threading.Thread(target=lambda: slow_answers.append(mesh.curl("/slow")))
        slow.start()
        assert v1.waiting.acquire(timeout=10)
        before = mesh.replace()
        answers = []
        until(lambda: answers.append(mesh.curl()) or "handing over" in mesh.log())
        until(lambda: answers.append(mesh.curl()) or mesh.log().count("control: ready") == 2)
        answers += [mesh.curl() for _ in range(10)]
        assert set(answers) == {(200, "v1")}
        assert alive(old_worker)  # it has a request to finish
        v1.release.set()
        slow.join(10)
        assert slow_answers == [(200, "v1")]
        assert before.wait(10) == 0
        assert "the successor died" not in mesh.log()
        assert not alive(old_worker)
        assert mesh.curl() == (200, "v1")
        assert mesh.ready()
    assert not (tmp_path / "run").exists()


def test_a_successor_that_cannot_start_leaves_everything_as_it_was(folder, v1, tmp_path):
    (folder / "mesh.yaml").write_text(cluster(v1) + rules(TO_V1))
    with Mesh(folder, "--run-dir", str(tmp_path / "run")) as mesh:
        broken = tmp_path / "broken.yaml"
        broken.write_text("kind: [")
        options = ["--ebpf", "off", "--admin", mesh.admin, "--run-dir", str(tmp_path / "run")]
        expose = ["--expose", f"reviews:9080=127.0.0.1:{mesh.exposed['reviews:9080']}"]
        assert "another nodemesh runs in" in run("--config", str(folder), *options, *expose).stderr
        done = run("--config", str(broken), *options, *expose, "--replace")
        assert done.returncode == 1
        assert mesh.curl() == (200, "v1")
        until(lambda: mesh.ready() and mesh.children().get("control"))
        assert mesh.curl() == (200, "v1")


def test_the_listeners_own_address_will_do(folder, v1, v2):
    """`curl http://127.0.0.1:PORT/`: a Host that names the plain listener means what stands behind it."""
    only_there = (
        "- match: [{authority: {exact: 'reviews:9080'}}]\n  route: [{destination: {host: reviews, subset: v2}}]"
    )
    (folder / "mesh.yaml").write_text(cluster(v1, v2) + rules(f"{only_there}\n{TO_V1}"))
    with Mesh(folder) as mesh:
        port = mesh.exposed["reviews:9080"]
        for host in ("127.0.0.1", "localhost"):
            done = subprocess.run(
                ["curl", "-sS", "-m", "10", f"http://{host}:{port}/", "-4"], capture_output=True, text=True
            )
            assert done.stdout == "v2"
        assert mesh.curl(name="reviews:9080") == (200, "v2")


def test_findings_across_objects_are_told_by_the_running_agent(folder, v1, v2):
    missing = rules("- route: [{destination: {host: reviews, subset: v9}}]")
    (folder / "mesh.yaml").write_text(cluster(v1, v2) + missing)
    with Mesh(folder) as mesh:
        until(lambda: mesh.api("/config/problems"))
        (problem,) = mesh.api("/config/problems")
        assert (problem["code"], problem["severity"], problem["refused"]) == ("unknown-subset", "error", False)
        assert problem["line"] > 0
        assert mesh.api("/status")["config"]["errors"] == 1
        assert mesh.metric("nodemesh_config_findings", code="unknown-subset") == 1
        command = [sys.executable, "-m", "nodemesh", "lint", "--admin", mesh.admin]
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment())
        assert told.returncode == 1 and "has no subset `v9`" in told.stdout
        assert "the agent at" in told.stderr
        (folder / "mesh.yaml").write_text(cluster(v1, v2))
        until(lambda: not mesh.api("/config/problems"))


def test_the_agents_log_is_json_where_that_is_asked_for(folder, v1):
    (folder / "mesh.yaml").write_text(cluster(v1))
    with Mesh(folder, "--log-format", "json") as mesh:
        pass
    lines = [json.loads(line) for line in mesh.log().splitlines()]
    assert {line["component"] for line in lines} >= {"supervisor", "control"}
    assert lines[0]["message"] == "nodemesh starts" and lines[0]["version"] == __version__
    assert "draining" in [line["message"] for line in lines]
