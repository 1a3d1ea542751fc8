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


def test_the_text_names_the_outcome_and_every_step(tmp_path):
    result = explain(tmp_path, "GET", "http://reviews:9080/x")
    assert "outcome:   redirect, status 301" in result.stdout
    assert "location:  http://reviews:9080/else" in result.stdout
    assert "-     headers[end-user] exact 'jason': saw none" in result.stdout


def test_wrong_questions_are_told(tmp_path):
    assert explain(tmp_path, "GET", "http://reviews:9080/", "-H", "nonsense").exit_code == 2
    result = explain(tmp_path, "GET", "http://reviews:9080/", "--as", "default/nobody")
    assert "there is no pod nobody" in str(result.exception)
