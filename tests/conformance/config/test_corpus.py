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
def corpus() -> dict[str, list[Case]]:
    """The cases by file: one file for each kind."""
    cases = {}
    for path in sorted(HERE.glob("*.yaml")):
        (document,) = read(path.read_bytes(), path.name)
        assert isinstance(document, Document)
        cases[path.stem] = msgspec.convert(document.root.value, list[Case])
    return cases


def written(problem: Problem) -> str:
    severity = "error" if problem.refused else str(problem.severity)
    place = f"{problem.location.line}:{problem.location.column}"
    return " ".join(part for part in (severity, problem.code, problem.path, place) if part)


def test_the_corpus_is_large_enough():
    every = [case for cases in corpus().values() for case in cases]
    assert len(every) >= 500
    assert sum(bool(case.expect) for case in every) >= 250


@pytest.mark.parametrize("file", corpus())
def test_names_are_unique(file):
    names = [case.name for case in corpus()[file]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("file", corpus())
def test_every_manifest_gives_what_it_names(file):
    wrong = {}
    for case in corpus()[file]:
        problems = load_text(case.yaml, "case.yaml").problems
        found = sorted(map(written, problems))
        if found != sorted(case.expect):
            wrong[case.name] = f"{case.rule}: expected {case.expect}, found {found}"
        for problem in problems:
            assert problem.code in CODES and problem.message
            assert problem.refused == (problem.severity == "error")
    assert not wrong


def documents(case: Case) -> list[Document]:
    """The documents of a case whose text is good in itself: only those can come from an API server."""
    items = list(read(case.yaml, "case.yaml"))
    good = [item for item in items if isinstance(item, Document) and not item.flaws]
    return good if len(good) == len(items) else []


@pytest.mark.parametrize("file", corpus())
def test_an_api_server_gives_the_same_objects(file):
    """Text and API objects share one decoder: the same specs come out, and the same codes."""
    wrong = []
    for case in corpus()[file]:
        from_text = load_text(case.yaml, "case.yaml")
        from_api = [load_object(item.root.value, "api") for item in documents(case)]
        if not from_api:
            continue
        specs = [item.spec for one in from_api for item in one.objects]
        codes = [item.code for one in from_api for item in one.problems]
        if specs != [item.spec for item in from_text.objects] or codes != [item.code for item in from_text.problems]:
            wrong.append(case.name)
    assert not wrong
