"""Every manifest of the corpus gives exactly the findings that it names: severity, code, path and place."""

from functools import cache
from pathlib import Path

import msgspec
import pytest

from nodemesh.config.codes import CODES
from nodemesh.config.load import load_object, load_text
from nodemesh.config.problems import Problem
from nodemesh.config.yaml import Document, read

HERE = Path(__file__).parent


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One manifest: the rule that it is about, its text, and the findings (none where it is valid)."""

    name: str
    rule: str
    yaml: str
    expect: list[str] = []


@cache
def corpus() -> dict[str, Case]:
    cases = {}
    for path in sorted(HERE.glob("*.yaml")):
        (document,) = read(path.read_bytes(), path.name)
        assert isinstance(document, Document)
        for case in msgspec.convert(document.root.value, list[Case]):
            cases[f"{path.stem}/{case.name}"] = case
    return cases


def written(problem: Problem) -> str:
    severity = "error" if problem.refused else str(problem.severity)
    place = f"{problem.location.line}:{problem.location.column}"
    return " ".join(part for part in (severity, problem.code, problem.path, place) if part)


def test_the_corpus_is_large_enough():
    assert len(corpus()) >= 500
    assert len({name for name in corpus() if corpus()[name].expect}) >= 250


@pytest.mark.parametrize("name", corpus())
def test_manifest(name):
    case = corpus()[name]
    loaded = load_text(case.yaml, "case.yaml")
    assert sorted(map(written, loaded.problems)) == sorted(case.expect), case.rule
    for problem in loaded.problems:
        assert problem.code in CODES
        assert problem.message and problem.message[0] != " "
        assert problem.refused == (problem.severity == "error")


@pytest.mark.parametrize("name", corpus())
def test_an_api_server_gives_the_same_objects(name):
    """Text and API objects share one decoder: the same specs come out, and the same codes."""
    text = corpus()[name].yaml
    documents = list(read(text, "case.yaml"))
    if not all(isinstance(item, Document) and not item.flaws for item in documents):
        return  # what is wrong with the text itself is not seen by an API server
    from_text = load_text(text, "case.yaml")
    from_api = [load_object(item.root.value, "api") for item in documents if isinstance(item, Document)]
    assert [item.spec for item in from_text.objects] == [item.spec for one in from_api for item in one.objects]
    assert [item.code for item in from_text.problems] == [item.code for one in from_api for item in one.problems]
