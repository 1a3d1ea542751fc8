"""`nodemesh record` at a running agent, and `nodemesh replay` of what it wrote."""

import http.client
import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from tests.unit.cli.mesh import Mesh, Upstream, cluster, rules, until

from nodemesh.cli.main import cli
from nodemesh.node.child import environment
from nodemesh.routing.heads import REDACTED

V1 = "- route: [{destination: {host: reviews, subset: v1}}]"
JASON = "- match: [{headers: {end-user: {exact: jason}}}]\n  route: [{destination: {host: reviews, subset: v2}}]\n"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agent") / "mesh"
    folder.mkdir()
    upstreams = [Upstream("v1"), Upstream("v2")]
    (folder / "mesh.yaml").write_text(cluster(*upstreams) + rules(V1))
    with Mesh(folder, workers=2) as running:
        yield running
    for upstream in upstreams:
        upstream.close()


def ask(mesh, *asked):
    connection = http.client.HTTPConnection("127.0.0.1", mesh.exposed["reviews:9080"], timeout=20)
    for path, headers in asked:
        connection.request("GET", path, headers=headers)
        assert connection.getresponse().read() == b"v1"
    connection.close()


def recording(mesh, path, *options):
    """The command."""
    command = [sys.executable, "-m", "nodemesh", "record", "--admin", mesh.admin, *options]
    with path.open("wb") as out:
        return subprocess.Popen(command, env=environment(), stdout=out, stderr=subprocess.PIPE, text=True)


def recorded(mesh, path, *asked, options=()):
    """Ask again and again until what is asked is in the file: when the recording begins, nobody can see."""
    process = recording(mesh, path, *options)
    until(lambda: process.poll() is not None or (ask(mesh, ("/begin", {})), b"/begin" in path.read_bytes())[1])
    ask(mesh, *asked)
    until(lambda: path.read_text().count('"path":"/a"') >= len(asked))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    return [json.loads(line) for line in path.read_text().splitlines()]


def replay(*arguments):
    return CliRunner().invoke(cli, ["replay", *map(str, arguments)])


def test_what_was_recorded_says_which_requests_change(mesh, tmp_path):
    path, new = tmp_path / "heads", tmp_path / "new.yaml"
    asked = [("/a", {"end-user": "jason"}), ("/a", {"end-user": "mary"}), ("/a?token=x", {"cookie": "a=b"})]
    heads = [head for head in recorded(mesh, path, *asked) if head["path"] == "/a"]
    assert [head["headers"].get("end-user") for head in heads] == ["jason", "mary", None]
    assert heads[2]["headers"]["cookie"] == REDACTED and heads[2]["query"] == f"token={REDACTED}"
    assert "a=b" not in path.read_text() and "token=x" not in path.read_text()

    new.write_text(rules(JASON + V1).removeprefix("---\n"))
    changed = replay(path, "--config", new, "--admin", mesh.admin)
    assert changed.exit_code == 3, changed.output
    assert ", 1 are answered otherwise" in changed.output
    assert "to: reviews v2, before reviews v1" in changed.output
    assert max(map(len, changed.output.splitlines())) <= 80

    found = json.loads(replay(path, "--config", new, "--admin", mesh.admin, "--format", "json").stdout)
    assert (found["differing"], found["unsure"], found["found"][0]["aspects"]) == (1, 0, ["to"])
    assert found["found"][0]["example"]["headers"]["end-user"] == "jason"

    same = replay(path, "--config", mesh.folder, "--against", mesh.folder)
    assert same.exit_code == 0, same.output
    assert ", 0 are answered otherwise" in same.output


def test_what_is_shown_by_name_is_recorded(mesh, tmp_path):
    options = ("--show", "Cookie", "--show", "?version")
    heads = recorded(mesh, tmp_path / "heads", ("/a?version=2", {"cookie": "a=b"}), options=options)
    (head,) = [each for each in heads if each["path"] == "/a"]
    assert (head["headers"]["cookie"], head["query"]) == ("a=b", "version=2")


def test_it_ends_by_itself_when_it_has_so_many(mesh, tmp_path):
    path = tmp_path / "heads"
    process = recording(mesh, path, "--most", "5", "--for", "1h")
    until(lambda: (ask(mesh, ("/a", {})), process.poll() is not None)[1])
    assert process.returncode == 0
    assert path.read_text().count("\n") == 5
    assert process.stderr.read().startswith("5 heads")


def test_time_ends_it(mesh, tmp_path):
    process = recording(mesh, tmp_path / "heads", "--for", "500ms")
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "0 heads\n")


def test_one_records_at_a_time(mesh, tmp_path):
    process = recording(mesh, tmp_path / "heads", "--for", "1h")
    until(lambda: (ask(mesh, ("/a", {})), (tmp_path / "heads").read_bytes())[1])
    second = recording(mesh, tmp_path / "second", "--for", "1s")
    _, said = second.communicate(timeout=20)
    assert (second.returncode, said) == (1, f"nodemesh: process {process.pid} records already; end it first\n")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_a_line_that_is_no_head_is_told_with_its_number(tmp_path):
    path, config = tmp_path / "heads", tmp_path / "mesh.yaml"
    config.write_text(cluster() + rules(V1))
    path.write_text('\n{"at": 1}\n')
    refused = replay(path, "--config", config, "--against", config)
    assert refused.exit_code == 1
    assert f"{path}:2: this is no head" in str(refused.exception)
    path.write_text("x" * 300_000)
    assert "longer than" in str(replay(path, "--config", config, "--against", config).exception)
