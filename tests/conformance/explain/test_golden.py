"""Requests that meet every outcome, with what `nodemesh explain` prints for each (golden/answers.txt and .json)."""

import json
import shlex
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodemesh.cli.main import cli

GOLDEN = Path(__file__).parent / "golden"
REQUESTS = (GOLDEN / "requests.txt").read_text().splitlines()
OUTCOMES = {
    "route", "redirect", "direct_response", "no_rule", "no_host", "unknown_destination", "no_endpoints",
    "passthrough", "blackhole", "no_listener", "refused",
}  # fmt: skip


@pytest.fixture(autouse=True)
def beside_the_mesh(monkeypatch):
    monkeypatch.chdir(GOLDEN)


@cache
def explained(request, *options):
    result = CliRunner().invoke(cli, ["explain", *shlex.split(request), "--config", "mesh.yaml", *options])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def written(*options):
    return "\n".join(f"$ nodemesh explain {request}\n{explained(request, *options)}" for request in REQUESTS)


def test_the_text():
    assert written() == (GOLDEN / "answers.txt").read_text(), "write what it is now to answers.txt"


def test_the_json():
    answers = {request: json.loads(explained(request, "--format", "json")) for request in REQUESTS}
    assert answers == json.loads((GOLDEN / "answers.json").read_text()), "write what it is now to answers.json"


def test_every_outcome_is_there():
    answers = json.loads((GOLDEN / "answers.json").read_text())
    assert {answer["outcome"] for answer in answers.values()} == OUTCOMES
