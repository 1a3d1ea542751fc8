"""A folder with one mistake of each kind: `nodemesh lint` names each, with its line (findings.txt)."""

import ast
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodemesh.cli.main import cli
from nodemesh.config.codes import CODES
from nodemesh.registry.sources.directory import FILE_CODES
from nodemesh.routing import lint
from nodemesh.routing.lint.codes import ACROSS_CODES, LIVE_CODES

HERE = Path(__file__).parent
GOLDEN = HERE / "findings.txt"


@pytest.fixture(autouse=True)
def beside_the_mistakes(monkeypatch):
    monkeypatch.chdir(HERE)


def rows():
    return json.loads(CliRunner().invoke(cli, ["lint", "mistakes", "--format", "json"]).stdout)


def test_each_mistake_is_named_with_its_line():
    result = CliRunner().invoke(cli, ["lint", "mistakes"])
    assert result.exit_code == 1
    assert result.stdout == GOLDEN.read_text(), "write the output of `nodemesh lint mistakes` to findings.txt"


def test_every_code_across_objects_is_shown():
    found = {row["code"] for row in rows()}
    assert found >= {*ACROSS_CODES, "duplicate-object", "unreachable-rule", "unreachable-match", "unknown-field"}
    assert found <= {*ACROSS_CODES, *FILE_CODES, *CODES}


def test_what_is_not_wrong_is_not_named():
    result = CliRunner().invoke(cli, ["lint", "mistakes/00-mesh.yaml"])
    assert (result.exit_code, result.stdout) == (0, "")


def test_the_first_of_two_definitions_counts_and_the_second_is_refused():
    twice = [row for row in rows() if row["code"] == "duplicate-object"]
    assert [(row["file"], row["line"], row["severity"], row["refused"]) for row in twice] == [
        ("mistakes/twice.yaml", 1, "error", True),  # the first stands in another file
        ("mistakes/twice.yaml", 11, "error", True),  # the first stands in the same one
    ]


def test_sarif_says_what_each_code_means():
    (run,) = json.loads(CliRunner().invoke(cli, ["lint", "mistakes", "--format", "sarif"]).stdout)["runs"]
    assert all(rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"])


def test_every_code_across_objects_is_listed():
    trees = [ast.parse(path.read_text()) for path in Path(lint.__file__).parent.glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    told = [
        call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("warn", "error", "note")
    ]
    assert {call.args[0].value for call in told} == ACROSS_CODES.keys() | LIVE_CODES.keys()
