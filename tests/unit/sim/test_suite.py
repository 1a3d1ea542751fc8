"""Files of tests: read with the place of each fault, run each in a mesh of its own."""

import json

import pytest
from click.testing import CliRunner
from tests.recipes import write

from nodemesh.cli.test import test as command
from nodemesh.sim.places import MeshError
from nodemesh.sim.suite import load

MESH = "config: [mesh/]\ntests:\n"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def run(folder, text, *options):
    path = folder / "test_own.yaml"
    path.write_text(MESH + text)
    return CliRunner().invoke(command, [str(path), *options])


@pytest.mark.parametrize(
    "text, place, word",
    [
        ("- {name: a, send: GET http://reviews/, expect: {stats: 200}}", "3:", "stats"),
        ("- name: a\n  steps:\n  - send: x\n    times: many", "6:", "times"),
        ("- name: a\n  expect: {seconds: 3}", "4:", "duration"),
        ("- {send: GET http://reviews/}", "3:", "name"),
        ("- name: a\n  times: 0", "4:", "times is 0; right is 1 to 1,000,000"),
        ("- name: a\n  steps:\n  - {}\n  - times: 100000000000", "6:", "right is 1 to 1,000,000"),
        ("- name: a\n  atOnce: -1", "4:", "atOnce is -1; right is 0 to 10,000"),
        ("- name: a\n  advance: 169h", "4:", "advance is 169h; right is 168h at most"),
        ("- name: a\n  sni: a..b", "4:", "'a..b' is no host name"),
        ("- name: a\n  headers:\n    b: c\n    d: ☃", "6:", "the header d: ☃ has characters"),
        ("- name: a\n  upstreams:\n  - name: b\n    headers: {d: ☃}", "6:", "the header d: ☃ has characters"),
        ("- name: a\n  upstreams:\n  - name: b\n    status: 100", "6:", "status is 100; right is 200 to 999"),
        ("- name: a\n  upstreams:\n  - name: b\n    times: -1", "6:", "times is -1; right is 0"),
        ("- name: a\n  expect:\n    shares: {v1: 101}", "5:", "v1 is 101; right is 0 to 100"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder, text, place, word):
    path = folder / "test_own.yaml"
    path.write_text(MESH + text)
    with pytest.raises(MeshError) as error:
        load(path)
    assert f"test_own.yaml:{place}" in str(error.value) and word in str(error.value)


def test_a_header_may_have_any_byte(folder):
    done = run(folder, "- {name: a, send: GET http://reviews:9080/, headers: {b: é}, expect: {saw: {headers: {b: é}}}}")
    assert done.exit_code == 0, done.output


def test_no_state_is_left_for_the_next_test(folder):
    done = run(
        folder,
        "- {name: a, upstreams: [{name: reviews, does: refuse}], send: GET http://reviews:9080/,"
        " expect: {status: 503}}\n"
        "- {name: b, send: GET http://reviews:9080/, expect: {status: 200}}\n",
    )
    assert done.exit_code == 0, done.output


def test_what_does_not_hold_is_told_with_the_step(folder):
    done = run(
        folder,
        "- name: a\n  steps:\n  - {send: GET http://reviews:9080/}\n"
        "  - {send: GET http://reviews:9080/, expect: {status: 404}}\n",
        "--format",
        "json",
    )
    (row,) = json.loads(done.stdout)
    assert done.exit_code == 1 and not row["passed"] and row["requests"] == 2
    assert row["failures"][0]["line"] == 6 and "status is 200, not 404" in row["failures"][0]["message"]


@pytest.mark.parametrize(
    "step, word",
    [
        ("send: GET http://reviewz:9080/", "did you mean reviews?"),
        ("upstreams: [{name: reviews, subset: v3}]", "has no subset v3; a DestinationRule gives it v1, v2"),
        ("upstreams: [{name: ratingz}]", "no service and no pod ratingz"),
        ("upstreams: [{name: reviews, does: sleep}]", "right are answer, hang, reset, close, refuse, vanish, recover"),
        ("{send: GET http://reviews/, grpc: 'reviews:9080/a'}", "either send or grpc"),
        ("{send: GET http://reviews:9080/, as: default/nobody}", "there is no pod nobody"),
    ],
)
def test_what_is_not_there_fails_the_test(folder, step, word):
    step = step if step.startswith("{") else "{" + step + "}"
    done = run(folder, f"- name: a\n  steps:\n  - {step}\n  - {{expect: {{status: 200}}}}\n")
    assert done.exit_code == 1 and word in done.output


@pytest.mark.parametrize(
    "text, options, word",
    [
        ("- {name: a, send: GET http://reviews:9080/}", (), "test_own.yaml:3:3: 'a' expects nothing"),
        ("- {name: a, send: GET http://reviews:9080/, expect: {}}", (), "expects nothing"),
        ("- {name: a, steps: []}", (), "expects nothing"),
        (
            "- {name: a, send: GET http://reviews:9080/, expect: {status: 200}}",
            ("-k", "b"),
            "no test has 'b' in its name",
        ),
        ("  []", (), "there are no tests"),
    ],
)
def test_what_tests_nothing_does_not_pass(folder, text, options, word):
    done = run(folder, text, *options)
    assert done.exit_code == 1 and word in str(done.exception)


def test_kinds_of_requests_and_settings(folder):
    done = run(
        folder,
        """
- {name: grpc, upstreams: [{name: ratings, grpcStatus: 5}], grpc: 'ratings:9080/a.B/C', expect: {grpcStatus: 5}}
- {name: reset, upstreams: [{name: mysql, does: reset}], send: GET tcp://mysql:3306, body: x, expect: {error: reset}}
- {name: close, upstreams: [{name: mysql, does: close}], send: GET tcp://mysql:3306, body: x, expect: {error: closed}}
- name: at once
  upstreams: [{name: reviews, after: 1s}]
  send: GET http://reviews:9080/
  atOnce: 5
  expect: {status: 200, seconds: 1s}
- name: twice
  upstreams: [{name: reviews, subset: v2, status: 500, times: 1}]
  send: GET http://reviews:9080/
  headers: {end-user: jason}
  times: 2
  expect: {statuses: {500: 1, 200: 1}}
- name: gateway
  send: GET https://bookinfo.example.com/
  gateway: {istio: ingressgateway}
  source: 198.51.100.7
  http2: true
  expect: {status: 200, saw: {headers: {x-forwarded-for: 198.51.100.7}}}
""",
    )
    assert done.exit_code == 0, done.output


def test_a_file_without_a_mesh_is_refused(folder):
    path = folder / "test_own.yaml"
    path.write_text("tests: [{name: a, send: GET http://reviews:9080/, expect: {status: 200}}]")
    done = CliRunner().invoke(command, [str(path)])
    assert done.exit_code == 1 and "names no `config`" in str(done.exception)
    assert CliRunner().invoke(command, [str(path), "--config", str(folder / "mesh")]).exit_code == 0
