"""`nodemesh shadow` at a running agent: real processes, real sockets, and the count that the simulator foretells."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from random import Random

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.cli.mesh import HOST, Mesh, Upstream, alive, cluster, kill, rules, until

from nodemesh.cli.main import cli
from nodemesh.cli.shadow import text_of
from nodemesh.node.child import environment
from nodemesh.node.orders import Declined, FromAgent, OrderShadow
from nodemesh.sim import Mesh as Simulated

LIVE = """
- match: [{headers: {end-user: {exact: jason}}}]
  route: [{destination: {host: reviews, subset: v2}}]
- route:
  - {destination: {host: reviews, subset: v1}, weight: 75}
  - {destination: {host: reviews, subset: v2}, weight: 25}
"""

#: Jason's rule goes, and one path gets another timeout: two ways to differ, and a share that stays the same.
CANDIDATE = """
- match: [{uri: {prefix: /late}}]
  timeout: 3s
  route:
  - {destination: {host: reviews, subset: v1}, weight: 75}
  - {destination: {host: reviews, subset: v2}, weight: 25}
- route:
  - {destination: {host: reviews, subset: v1}, weight: 75}
  - {destination: {host: reviews, subset: v2}, weight: 25}
"""


@pytest.fixture(scope="module")
def upstreams():
    made = [Upstream("v1"), Upstream("v2")]
    yield made
    for upstream in made:
        upstream.close()


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, upstreams):
    folder = tmp_path_factory.mktemp("agent") / "mesh"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(cluster(*upstreams) + rules(LIVE))
    with Mesh(folder, workers=2) as running:
        yield running


@pytest.fixture
def live(mesh):
    """The live configuration, put back at the end."""
    path = mesh.folder / "mesh.yaml"
    before = path.read_text()
    yield path
    version = mesh.api("/status")["tables"]["version"]
    if path.read_text() != before:
        path.write_text(before)
        until(lambda: all(worker["applied"] > version for worker in mesh.api("/status")["workers"]))


@pytest.fixture
def candidate(tmp_path):
    path = tmp_path / "candidate.yaml"
    path.write_text(rules(CANDIDATE).removeprefix("---\n"))
    return path


def requests(count=400, seed=7):
    """Paths and users, drawn once."""
    draw = Random(seed)
    return [(draw.choice(["/", "/a", "/late?x=1"]), draw.choice(["", "jason", "mary"])) for _ in range(count)]


def load(mesh, asked, connections=8):
    """All of them, over so many connections at a time."""

    def work(part):
        connection = http.client.HTTPConnection("127.0.0.1", mesh.exposed["reviews:9080"], timeout=20)
        for path, user in part:
            connection.request("GET", path, headers={"end-user": user} if user else {})
            assert connection.getresponse().read() in (b"v1", b"v2")
        connection.close()

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, [asked[number::connections] for number in range(connections)]))


def foretold(live, candidate, asked):
    """What the simulator counts of the same requests."""
    simulated = Simulated(live)
    shadow = simulated.shadow(candidate)
    for path, user in asked:
        simulated.send(f"GET http://reviews:9080{path}", headers={"end-user": user} if user else {})
    return shadow.counts()


def begun(mesh, candidate, *options):
    """The command, once its shadow is on."""
    command = [sys.executable, "-m", "nodemesh", "shadow", str(candidate), "--admin", mesh.admin, *options]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: mesh.api("/shadow")["on"] or process.poll() is not None)
    return process


def ended(process):
    """Its answer after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=20)
    return process.returncode, out, error


def test_under_load_it_counts_what_the_simulator_foretells(mesh, candidate, live):
    asked = requests()
    expected = foretold(live.read_text(), candidate, asked)
    process = begun(mesh, candidate, "-o", "json")
    load(mesh, asked)
    code, out, _ = ended(process)
    found = json.loads(out)
    assert code == 3
    assert found["requests"] == expected.requests == len(asked)
    assert found["differing"] == expected.differing > 100
    by_rule = {(row["live_rule"].split()[2], row["candidate_rule"].split()[2], *row["aspects"]): row["count"]
               for row in found["rows"]}  # fmt: skip
    assert by_rule == {
        (one.contrast.old.rule.split()[2], one.contrast.new.rule.split()[2], *one.contrast.aspects): one.count
        for one in expected.disagreements
    }
    assert len(by_rule) == 3
    (sample, *_) = found["rows"][0]["samples"][-1:]
    assert sample["live"]["rule"] != sample["candidate"]["rule"]
    assert sample["client"] == "default/client"


def test_the_text_says_it_in_eighty_columns_and_nothing_is_left_on(mesh, candidate):
    process = begun(mesh, candidate)
    load(mesh, [("/", "jason"), ("/", "mary"), ("/a", "jason")])
    code, out, _ = ended(process)
    assert code == 3
    assert "3 requests to what the candidate changes, 2 would be answered otherwise" in out
    assert f"{HOST}:9080" in out
    assert "to: 75 % reviews v1, 25 % reviews v2, now reviews v2" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    until(lambda: not mesh.api("/shadow")["on"])
    load(mesh, [("/", "jason")])
    assert mesh.api("/shadow") == {**mesh.api("/shadow"), "on": False, "requests": 0, "rows": []}


def test_time_ends_it_with_nothing_to_tell(mesh, tmp_path):
    same = tmp_path / "same.yaml"
    same.write_text(rules(LIVE).removeprefix("---\n"))
    process = begun(mesh, same, "--for", "1s")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "0 would be answered otherwise" in out


def test_it_follows_the_live_configuration_and_new_workers(mesh, candidate, live):
    process = begun(mesh, candidate)
    load(mesh, [("/", "jason")] * 4)
    until(lambda: mesh.api("/shadow")["differing"] == 4)
    for name, pid in mesh.children().items():
        if name.startswith("worker"):
            kill(pid)
            until(lambda pid=pid: not alive(pid))
    until(lambda: len(mesh.api("/status")["workers"]) == 2)
    load(mesh, [("/", "jason")] * 3)
    assert mesh.api("/shadow")["differing"] == 7  # what the dead ones had told counts on
    version = mesh.api("/status")["tables"]["version"]
    live.write_text(live.read_text().replace("subset: v2}}]", "subset: v1}}]"))
    until(lambda: all(worker["applied"] > version for worker in mesh.api("/status")["workers"]))
    load(mesh, [("/", "jason")] * 2)
    rows = mesh.api("/shadow")["rows"]
    assert sorted((row["live"]["to"], row["count"]) for row in rows) == [("reviews v1", 2), ("reviews v2", 7)]
    ended(process)


def test_there_is_one_at_a_time(mesh, candidate):
    process = begun(mesh, candidate)
    second = CliRunner().invoke(cli, ["shadow", str(candidate), "--admin", mesh.admin])
    assert second.exit_code == 1
    assert f"a shadow is on already, by process {process.pid}" in str(second.exception)
    shown = CliRunner().invoke(cli, ["shadow", "--admin", mesh.admin, "-o", "json"])
    assert json.loads(shown.output)["asked_by"] == f"nodemesh shadow (process {process.pid})"
    begins = [line for line in mesh.log().splitlines() if "a shadow begins" in line][-1]
    assert "objects=" not in begins  # those are the annotated ones
    ended(process)


def test_a_command_that_is_killed_leaves_no_shadow(mesh, candidate):
    process = begun(mesh, candidate)
    process.kill()
    process.communicate()
    until(lambda: not mesh.api("/shadow")["on"])


def test_annotations_have_a_shadow_without_a_command(mesh, live):
    spec = {
        "hosts": ["reviews"],
        "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}],
    }
    annotation = (
        f"metadata: {{name: reviews, namespace: default, annotations: {{nodemesh.io/candidate: '{json.dumps(spec)}'}}}}"
    )
    head, found, tail = live.read_text().rpartition("metadata: {name: reviews, namespace: default}")
    assert found
    live.write_text(head + annotation + tail)
    until(lambda: mesh.api("/shadow")["on"])
    load(mesh, [("/", "jason"), ("/", "mary")])
    shadow = mesh.api("/shadow")
    assert (shadow["asked_by"], shadow["objects"]) == ("annotations", ["VirtualService default/reviews"])
    assert shadow["differing"] == 2
    live.write_text(head + found + tail)
    until(lambda: not mesh.api("/shadow")["on"])


def test_a_candidate_with_errors_does_not_begin(mesh, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(rules(CANDIDATE).replace("timeout", "tiemout"))
    refused = CliRunner().invoke(cli, ["shadow", str(broken), "--admin", mesh.admin])
    assert (refused.exit_code, str(refused.exception)) == (1, "the candidate has errors; mend them first")
    none = CliRunner().invoke(cli, ["shadow", "--admin", mesh.admin])
    assert "no shadow is on" in str(none.exception)


def test_orders_are_for_the_agents_user_alone(mesh):
    path = mesh.api("/status")["orders"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    if os.geteuid() == 0:
        code = (
            "import os, socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
            "fd = os.open(sys.argv[1], os.O_PATH); os.setgroups([]); os.setuid(65534);"
            "s.connect(f'/proc/self/fd/{fd}')"
        )
        asked = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert "PermissionError" in asked.stderr


def test_nonsense_is_declined_and_hurts_nobody(mesh, candidate):
    path = mesh.api("/status")["orders"]

    def say(data):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(10)
            sock.connect(path)
            sock.send(data)
            return sock.recv(65536)

    assert say(b"\xc1") == b""
    declined = msgspec.msgpack.decode(say(msgspec.msgpack.encode(OrderShadow(seconds=1.0))), type=FromAgent)
    assert declined == Declined(error="the order came without a candidate")
    process = begun(mesh, candidate)
    assert ended(process)[0] == 0


def test_more_than_is_written_out_is_counted():
    row = {
        "place": "a:80", "count": 1, "aspects": ["timeout"], "live": {"timeout": "1 s"}, "candidate": {},
        "live_rule": "", "candidate_rule": "",
        "samples": [{"method": "GET", "url": "http://a/" + "x" * 99, "client": "default/shop", "unsure": ["cookie"]}],
    }  # fmt: skip
    report = {"requests": 50, "differing": 30, "failed": 2, "error": "E", "folded": 5, "uncompared": 1234}
    kernel = "balanced in the kernel (no rule needs L7)"
    report["unseen"] = [
        {"place": "b:80", "connections": 1200, "live": kernel, "candidate": "through the proxy (why)"},
        {"place": "c:80", "connections": 34, "live": kernel, "candidate": kernel},
    ]
    text = "\n".join(text_of({**report, "rows": [row] * 25}, explained=False))
    assert text.count("a:80") == 20
    assert "10   20.0%  in other ways" in text
    assert "2 could not be decided by the candidate: E" in text
    assert "1,234 connections stayed in the kernel, and were not compared" in text
    assert f"1,200 b:80 through the proxy (why), now {kernel}" in " ".join(text.split())
    assert f"34 c:80 now {kernel}" in " ".join(text.split())
    assert "timeout: none, now 1 s" in text
    assert "from default/shop, whose cookie is looked at and not kept" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80 and "xxx…" in text
