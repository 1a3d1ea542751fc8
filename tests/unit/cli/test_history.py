"""`nodemesh history` and `nodemesh rollback` against a running agent."""

import json

import msgspec
import pytest
from click.testing import CliRunner
from tests.unit.cli.mesh import Mesh, Upstream, cluster, rules, until

from nodemesh.admin.answers import ChangeAnswer, RestoredAnswer
from nodemesh.cli import history
from nodemesh.cli.main import cli
from nodemesh.config.load import load_text

V1, V2 = "- route: [{destination: {host: reviews, subset: v1}}]", "- route: [{destination: {host: reviews}}]"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    upstream = Upstream("v1")
    folder = tmp_path_factory.mktemp("history") / "config"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(cluster(upstream))
    (folder / "rules.yaml").write_text(rules(V1))
    with Mesh(folder) as running:
        (folder / "rules.yaml").write_text(rules(V2))
        until(lambda: len(changes(running)) > 1)
        yield running
    upstream.close()


def run(mesh, *arguments):
    return CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])


def changes(mesh):
    return json.loads(run(mesh, "history", "-o", "json").stdout)


def test_the_text_has_what_changed_within_80_columns(mesh, monkeypatch):
    monkeypatch.setattr(history, "terminal_width", lambda: 80)
    shown = run(mesh, "history").stdout
    assert "VirtualService default/reviews changed" in shown and " ms" in shown
    too_long = [line for line in shown.splitlines() if len(line) > 80]
    assert not [line for line in too_long if len(line.split()) > 1], "but for paths, which people copy"


def test_json_has_the_shape_that_is_written(mesh):
    (newest, *_) = msgspec.convert(changes(mesh), list[ChangeAnswer], strict=True)
    assert [(row.kind, row.name, row.change) for row in newest.objects] == [("VirtualService", "reviews", "changed")]


@pytest.mark.parametrize("by", ["version", "object"])
def test_rollback_prints_what_applies_as_it_was(mesh, by):
    what = str(changes(mesh)[0]["version"]) if by == "version" else "VirtualService/default/reviews"
    done = run(mesh, "rollback", what)
    assert done.exit_code == 0
    (item,) = load_text(done.stdout, "rollback.yaml").objects
    (before,) = [each for each in load_text(rules(V1), "rules.yaml").objects if each.kind == "VirtualService"]
    assert item.spec == before.spec and item.meta.key == "default/reviews"
    rows = msgspec.convert(
        json.loads(run(mesh, "rollback", what, "--format", "json").stdout), list[RestoredAnswer], strict=True
    )
    (row,) = rows
    assert row.document is not None and row.document["spec"] == json.loads(json.dumps(row.document["spec"]))


@pytest.mark.parametrize(
    ("what", "word"), [("999", "version 999"), ("Gateway/default/none", "is kept"), ("x", "names")]
)
def test_what_is_not_kept_is_said(mesh, what, word):
    done = run(mesh, "rollback", what)
    assert done.exit_code == 1 and word in str(done.exception)


def test_authors_and_long_causes_are_folded():
    row = {"kind": "VirtualService", "group": "", "namespace": "a-long-namespace", "name": "a-very-long-name-of-a-rule",
           "change": "changed", "author": "kubectl-client-side-apply", "written": 1.0, "location": ""}  # fmt: skip
    change = {"at": 1.0, "version": 12, "seconds": -1.0, "count": 9, "objects": [row],
              "causes": ["VirtualService a-long-namespace/a-very-long-name-of-a-rule changed"]}  # fmt: skip
    lines = list(history._change(change, 80))
    assert max(map(len, lines)) <= 80 and "not yet" in lines[0] and lines[-1].strip() == "and 8 more"
    assert "by kubectl-client-side-apply" in " ".join(line.strip() for line in lines)
    assert len(list(history._change(change, 0))) == 3
