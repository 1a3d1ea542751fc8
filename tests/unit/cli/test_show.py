"""What the commands print about a running agent."""

import json
import re
import time

import pytest
from click.testing import CliRunner
from tests.unit.cli.mesh import Mesh, Upstream, cluster, rules

from nodemesh.cli import traffic
from nodemesh.cli.client import fetch
from nodemesh.cli.main import cli
from nodemesh.cli.output import CommandError
from nodemesh.cli.show import _ago, _causes, _rollout

UNSECURED = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: old, namespace: default}
spec:
  parentRefs: [{kind: Service, group: "", name: old}]
  rules: [{backendRefs: [{name: reviews, port: 9080}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside, namespace: default}
spec: {host: outside.example, trafficPolicy: {tls: {mode: MUTUAL, credentialName: nowhere}}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    upstream = Upstream("v1")
    folder = tmp_path_factory.mktemp("show") / "config"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(
        cluster(upstream) + rules("- route: [{destination: {host: reviews, subset: v1}}]") + UNSECURED
    )
    with Mesh(folder) as running:
        running.curl()
        yield running
    upstream.close()


def show(mesh: Mesh, *arguments: str) -> str:
    result = CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "status",
            [
                "ready:               yes",
                "WORKER",
                "reviews:9080",
                "DestinationRule default/outside",
                "spec.trafficPolicy.tls.credentialName",
                "mesh.yaml:",
                "there is no Secret default/nowhere",
            ],
        ),
        (
            "services",
            ["reviews.default.svc.cluster.local", "9080", "1/1", "http/1.1 (default)", "proxy", "has HTTP rules"],
        ),
        ("endpoints", ["127.0.0.1:", "default/reviews-v1", "ready"]),
        ("routes", ["default/reviews", "spec.http[0]", "reviews v1", "mesh.yaml:"]),
        ("pods", ["this node has no pods"]),
        ("history", [" ms"]),
        ("top", ["default/client", "default/reviews", "http"]),
        ("connections", ["GET reviews:9080/", "200", "default/client"]),
        ("graph", ["svc/default/reviews", "http"]),
    ],
)
def test_tables_show_what_the_agent_says(mesh, command, words):
    shown = show(mesh, command)
    assert [word for word in words if word not in shown] == []
    json.loads(show(mesh, command, "--format", "json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["listeners", "default/reviews-v1"], ["reviews.default", "9080", "proxy", "has HTTP rules"]),
        (["clusters", "default/reviews-v1", "--fqdn", "reviews"], ["v1", "v2", "STATIC", "default/reviews (", "1/1"]),
        (["clusters", "reviews-v1", "-n", "default", "--subset", "v1"], ["v1"]),
        (["endpoints", "default/reviews-v1", "--status", "ready"], ["127.0.0.1:", "v1", "ready"]),
        (["endpoints", "reviews"], ["reviews.default", "ready"]),
        (["routes", "default/reviews-v1"], ["reviews.default", "default/reviews", "spec.http[0]", "outbound|9080|v1|"]),
        (
            ["describe", "reviews"],
            ["reviews.default", "proxy, since", "default/reviews", "spec.http[0]", "ready", "by default/client"],
        ),
        (
            ["describe", "default/reviews-v1"],
            [
                "reviews-v1",
                "proxy",
                "stands behind:",
                ":9080 v1, at 127.0.0.1:",
                "rules that lead to it:",
                "spec.http[0]",
            ],
        ),
        (["services", "-n", "default"], ["reviews.default"]),
        (["services", "-n", "other"], ["nothing fits these options"]),
        (["pods", "-n", "default"], ["this node has no pods"]),
        (["graph", "-n", "other"], ["there was no traffic yet"]),
        (["graph", "-n", "default"], ["default/client"]),
        (["connections", "--host", "reviews", "--status", "2xx", "--path", "/"], ["GET reviews:9080/"]),
        (["connections", "--status", "503"], ["there were no such requests"]),
        (["connections", "--client", "default/client"], ["GET reviews:9080/", "VirtualService default/reviews"]),
        (["routes", "default/reviews-v1", "--subset", "v1"], ["outbound|9080|v1|"]),
        (["routes", "default/reviews-v1", "--subset", "v2"], ["nothing fits these options"]),
        (["routes", "--fqdn", "reviews"], ["spec.http[0]"]),
        (["routes", "--fqdn", "old.default"], ["HTTPRoute default/old", "Service default/old", "spec.rules[0]"]),
        (["routes"], ["HTTPRoute default/old", "default/reviews"]),
        (["routes", "--fqdn", "ratings"], ["nothing fits these options"]),
        (["endpoints", "--status", "ejected"], ["nothing fits these options"]),
        (["connections", "-n", "default"], ["GET reviews:9080/"]),
        (["connections", "-n", "other"], ["there were no such requests"]),
        (["top", "-n", "other"], ["there was no traffic"]),
        (["top", "--failing"], ["nothing failed in that time"]),
        (["ui"], ["http://127.0.0.1:"]),
    ],
)
def test_commands_answer_istioctls_questions(mesh, arguments, words):
    shown = show(mesh, *arguments)
    assert [word for word in words if word not in shown] == []


LISTINGS = [
    ["status"], ["services"], ["pods"], ["graph"], ["top"], ["history"], ["connections"], ["endpoints"], ["routes"],
    ["routes", "default/reviews-v1"], ["clusters", "default/reviews-v1"], ["listeners", "default/reviews-v1"],
    ["describe", "reviews"],
]  # fmt: skip


@pytest.mark.parametrize("listing", LISTINGS, ids=" ".join)
def test_every_listing_fits_80_columns_and_is_to_be_had_wide_as_json_and_again(mesh, listing, monkeypatch):
    monkeypatch.setattr("nodemesh.cli.output.terminal_width", lambda: 80)
    monkeypatch.setattr("nodemesh.cli.describe.terminal_width", lambda: 80)
    monkeypatch.setattr("nodemesh.cli.history.terminal_width", lambda: 80)
    lines = show(mesh, *listing).splitlines()
    too_long = [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 70]  # paths stay whole
    if listing == ["status"]:
        too_long = [
            line for line in too_long if not re.match(r"[\w ]+:  ", line)
        ]  # sentences, which the terminal wraps
    assert not too_long
    json.loads(show(mesh, *listing, "-o", "json"))
    assert show(mesh, *listing, "-o", "wide")

    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(traffic.time, "sleep", interrupted)
    assert show(mesh, *listing, "--watch")


def test_who_watches_goes_on_when_the_agent_is_away_for_a_while(mesh, monkeypatch):
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    def failing(admin, path, query=()):
        if len(looks) == 1:
            raise CommandError("no agent answers")
        return fetch(admin, path, query)

    monkeypatch.setattr(traffic.time, "sleep", sleep)
    monkeypatch.setattr("nodemesh.cli.tables.fetch", failing)
    done = CliRunner().invoke(cli, ["endpoints", "--watch", "--admin", mesh.admin])
    assert done.exit_code == 0 and done.stderr == "nodemesh: no agent answers\n" and done.stdout.count("SERVICE") == 2


def test_a_pod_that_is_not_there_is_an_error_in_one_sentence(mesh):
    for arguments in (["routes", "default/nobody"], ["describe", "nothing"], ["clusters", "default/nobody"]):
        done = CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])
        assert isinstance(done.exception, CommandError) and "there is no" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["routes", "default/review-v1"], "default/reviews-v1"),
        (["describe", "reviwes"], "reviews.default"),
        (["describe", "reviews.prod"], "reviews.default"),
    ],
)
def test_a_name_that_is_nearly_right_is_said(mesh, arguments, meant):
    done = CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])
    assert f"did you mean {meant}?" in str(done.exception)


@pytest.mark.parametrize("arguments", [["--port", "9080"], ["--subset", "v1"]])
def test_options_that_choose_nothing_are_wrong_usage(mesh, arguments):
    done = CliRunner().invoke(cli, ["routes", *arguments, "--admin", mesh.admin])
    assert done.exit_code == 2 and "name the pod, or its namespace with -n" in done.stderr


def test_following_shows_each_request_once(mesh, monkeypatch):
    class Enough(Exception):
        pass

    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) > 2:
            raise Enough

    monkeypatch.setattr(traffic.time, "sleep", sleep)
    host = ["--host", "reviews.default.svc.cluster.local"]
    done = CliRunner().invoke(cli, ["connections", "--follow", *host, "--admin", mesh.admin])
    assert isinstance(done.exception, Enough)
    lines = done.stdout.splitlines()
    assert lines and len(lines) == len(set(lines)) and "GET reviews:9080/" in lines[0]


@pytest.mark.parametrize("arguments", [["connections", "--follow"], ["top", "--watch"]])
def test_ctrl_c_ends_what_goes_on_until_then(mesh, monkeypatch, arguments):
    def interrupted(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(traffic.time, "sleep", interrupted)
    done = CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])
    assert done.exit_code == 0 and "Aborted" not in done.output and done.output


def test_explain_asks_the_agent(mesh):
    shown = show(mesh, "explain", "GET", "http://reviews:9080/")
    assert "outbound|9080|v1|reviews.default.svc.cluster.local" in shown


def test_causes_of_a_table_are_some():
    assert _causes([]) == "-" and _causes(["a", "b", "c"]) == "a; b; c"
    assert _causes(["a", "b", "c", "d", "e"]) == "a; b; c; 2 more"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"), (59.9, "59s"), (60, "1m"), (200, "3m20s"), (3600, "1h"), (3659, "1h"), (3660, "1h1m"),
        (86400 + 3599, "1d"), (4 * 86400 + 2 * 3600 + 59, "4d2h"),
    ],
)  # fmt: skip
def test_durations_are_told_in_two_units(monkeypatch, seconds, shown):
    monkeypatch.setattr(time, "time", lambda: 1000.0 + seconds)
    assert _ago(1000.0) == shown and _ago(0.0) == ""


def test_a_rollout_is_one_line(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 3661.0)
    row = {"object": "VirtualService shop/web", "step": "changed", "phase": "waiting", "since": 0.0, "why": "",
           "requests_here": 0, "failures_here": 0}  # fmt: skip
    assert _rollout(row) == "VirtualService shop/web: waiting"
    assert _rollout({**row, "step": "removed"}) == "VirtualService shop/web, removed: waiting"
    row |= {
        "phase": "canary",
        "since": 1.0,
        "why": "10 % of the clients for 10 min",
        "requests_here": 9,
        "failures_here": 2,
    }
    assert _rollout(row) == (
        "VirtualService shop/web: canary since 1h1m, 10 % of the clients for 10 min; 2 of 9 requests failed here"
    )
