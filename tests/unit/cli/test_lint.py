import json

from click.testing import CliRunner

from nodemesh.cli.main import cli

BROKEN = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hots: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
"""
GOOD = BROKEN.replace("hots", "hosts")
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {ports: [{port: 9080, name: http}]}
"""


def lint(tmp_path, text, *options):
    (tmp_path / "mesh.yaml").write_text(text)
    return CliRunner().invoke(cli, ["lint", str(tmp_path), *options])


def test_a_clean_folder_is_clean(tmp_path):
    result = lint(tmp_path, GOOD + SERVICE, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


def test_an_error_is_told_with_its_place_and_exit_code(tmp_path):
    result = lint(tmp_path, BROKEN)
    assert result.exit_code == 1
    assert f"{tmp_path}/mesh.yaml:5:3: error: " in result.stdout


def test_json_has_the_documented_fields(tmp_path):
    result = lint(tmp_path, BROKEN, "--format", "json")
    finding = json.loads(result.stdout)[0]
    assert set(finding) == {
        "file", "line", "column", "kind", "namespace", "name", "path", "severity", "refused", "code", "message",
    }  # fmt: skip
    assert (finding["line"], finding["kind"], finding["name"]) == (5, "VirtualService", "reviews")
    assert finding["refused"] is True


def test_sarif_points_at_the_line(tmp_path):
    result = lint(tmp_path, BROKEN, "--format", "sarif")
    (run,) = json.loads(result.stdout)["runs"]
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["region"] == {"startLine": 5, "startColumn": 3}
    assert run["results"][0]["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}


def test_a_path_that_is_not_there_is_wrong_usage():
    assert CliRunner().invoke(cli, ["lint", "/no/such/place"]).exit_code == 2


def test_the_summary_counts_files_and_findings(tmp_path):
    assert lint(tmp_path, BROKEN).stderr == "1 file: 1 error\n"
    assert lint(tmp_path, GOOD + SERVICE).stderr == "1 file: no problems found\n"


def test_a_folder_without_yaml_is_clean_and_says_so(tmp_path):
    result = CliRunner().invoke(cli, ["lint", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "there is no YAML or JSON file to check\n"


def test_no_path_at_all_is_wrong_usage():
    assert CliRunner().invoke(cli, ["lint"]).exit_code == 2


def test_paths_are_shown_as_they_were_given(tmp_path, monkeypatch):
    lint(tmp_path, BROKEN)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["lint", "mesh.yaml"]).stdout.startswith("mesh.yaml:5:3: error: ")


def test_standard_input_is_checked_with_the_files(tmp_path):
    (tmp_path / "service.yaml").write_text(SERVICE)
    result = CliRunner().invoke(cli, ["lint", "-", str(tmp_path)], input=GOOD.replace("host: reviews", "host: rewievs"))
    assert result.exit_code == 1
    assert "<stdin>:6:" in result.stdout and "did you mean reviews" in result.stdout
    assert "2 files" in result.stderr


def test_bytes_on_standard_input_are_read_as_those_of_a_file():
    result = CliRunner().invoke(cli, ["lint", "-"], input=b"a: \x9d\n")
    assert result.exit_code == 1
    assert result.stdout == "<stdin>:1:4: error: byte 0x9d is not UTF-8; save the file as UTF-8 [not-utf8]\n"


def test_files_or_an_agent_are_asked_and_not_both():
    assert CliRunner().invoke(cli, ["lint"]).exit_code == 2
    assert CliRunner().invoke(cli, ["lint", "-", "--admin", "127.0.0.1:1"]).exit_code == 2
