import json

from click.testing import CliRunner
from tests.unit.cli.mesh import cluster, rules

from nodemesh.cli.main import cli

RULE = "- match: [{headers: {end-user: {exact: jason}}}]\n  directResponse: {status: 418}\n- redirect: {uri: /else}"


def explain(tmp_path, *arguments):
    (tmp_path / "mesh.yaml").write_text(cluster() + rules(RULE))
    return CliRunner().invoke(cli, ["explain", *arguments, "--config", str(tmp_path)])


def test_files_are_asked_without_an_agent(tmp_path):
    result = explain(tmp_path, "GET", "http://reviews:9080/x", "-H", "end-user: jason", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["outcome"], found["status"], found["virtualService"]) == ("direct_response", 418, "default/reviews")
    assert found["rule"]["path"] == "spec.http[0]"


def test_the_text_shows_every_step_and_then_the_outcome(tmp_path):
    result = explain(tmp_path, "GET", "http://reviews:9080/x")
    assert "✗ headers[end-user] exact 'jason': saw none" in result.stdout
    assert "=> redirect 301" in result.stdout
    assert "location http://reviews:9080/else" in result.stdout


def test_json_has_the_documented_keys(tmp_path):
    found = json.loads(explain(tmp_path, "GET", "http://reviews:9080/x", "--format", "json").stdout)
    assert set(found) >= {
        "outcome", "reason", "mode", "service", "virtualService", "rule", "status", "location", "destinations",
        "rewrite", "headers", "timeout", "retries", "fault", "steps",
    }  # fmt: skip
    found = json.loads(explain(tmp_path, "GET", "tcp://reviews:9080", "--format", "json").stdout)
    assert set(found["destinations"][0]) >= {"cluster", "host", "port", "subset", "weight", "endpoints"}
    assert (found["status"], found["retries"]) == (None, None)  # a connection has neither


def test_wrong_questions_are_told_as_wrong_usage(tmp_path):
    for arguments, sentence in (
        (("http://reviews:9080/", "-H", "nonsense"), "write it as 'name: value'"),
        (("http://reviews:9080/", "--gateway", "nonsense"), "write it as istio=ingressgateway"),
        (("http://reviews:9080/", "-H", "end user: jason"), "'end user' is no header's name"),
        (("http://reviews:9080/", "-H", "end-user: ja\nson"), "has a line break or NUL in its value"),
        (("ftp://reviews",), "right are http, https, tls, tcp and udp"),
        (("http://",), "names no host"),
        (("tcp://reviews",), "names no port"),
        (("http://reviews:123456/",), "has no valid address and port"),
        (("http://reviews/", "--config", "/no/such/place"), "does not exist"),
    ):
        result = explain(tmp_path, "GET", *arguments)
        assert result.exit_code == 2, arguments
        assert sentence in result.stderr


def test_a_pod_that_is_not_there_is_told(tmp_path):
    result = explain(tmp_path, "GET", "http://reviews:9080/", "--as", "default/nobody")
    assert str(result.exception) == "there is no pod nobody in namespace default"


def test_what_is_wrong_with_the_files_is_told_beside_the_answer(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [")
    result = explain(tmp_path, "GET", "http://reviews:9080/x")
    assert result.exit_code == 0
    assert "error: this is not YAML" in result.stderr


def test_a_finding_names_its_object_and_field(tmp_path):
    (tmp_path / "broken.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec: {hosts: reviews}\n"
    )
    result = explain(tmp_path, "GET", "http://reviews:9080/x")
    assert "(VirtualService default/v, spec.hosts) [wrong-type]" in result.stderr
