"""Tests of routing written in YAML: what is sent, what the upstreams do, and what is expected of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import field

from ..config.base import Duration, Model
from ..config.decode import decode
from ..config.meta import Location
from ..config.problems import Findings, path_text
from ..config.yaml import Flaw, read
from .deeds import Act
from .expecting import Expect
from .places import MeshError

#: Requests of a step, one after the other (so many take two minutes) and at once.
MOST, MOST_AT_ONCE = 1_000_000, 10_000

#: The longest time that a step lets pass, in milliseconds.
LONGEST = 7 * 24 * 3_600_000

#: What a client may name in TLS.
HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


class Setting(Model, frozen=True, kw_only=True):
    """What some pods do from now on: `does` is one of answer, hang, reset, close, refuse, vanish and recover."""

    name: str
    subset: str = ""
    namespace: str = "default"
    does: str = Act.ANSWER.value
    status: int = 200
    grpc_status: int = 0
    headers: dict[str, str] = {}
    body: str | None = None
    after: Duration = Duration(0)
    times: int = 0


class SuiteStep(Model, frozen=True, kw_only=True):
    """First `upstreams` are set, then time passes (`advance`), then `send` or `grpc` is asked `times` times, or
    `atOnce` times at the same moment, and `expect` must hold."""

    upstreams: tuple[Setting, ...] = ()
    advance: Duration = Duration(0)
    send: str = ""
    grpc: str = ""
    headers: dict[str, str] = {}
    body: str = ""
    as_: str = field(default="default", name="as")
    labels: dict[str, str] | None = None
    gateway: dict[str, str] | None = None
    http2: bool = False
    sni: str = ""
    source: str = ""
    times: int = 1
    at_once: int = 0
    expect: Expect = Expect()


class Test(Model, frozen=True, kw_only=True):
    """One test: its steps share a mesh that no other test sees."""

    name: str
    steps: tuple[SuiteStep, ...]
    seed: int = 1


class Suite(Model, frozen=True, kw_only=True):
    """A file of tests. `config` names files and folders of YAML, seen from the file's own folder."""

    tests: tuple[Test, ...]
    config: tuple[str, ...] = ()


class Placed(msgspec.Struct, frozen=True):
    """A test, with the places where its steps were written."""

    test: Test
    location: Location
    steps: tuple[Location, ...]


class LoadedSuite(msgspec.Struct, frozen=True):
    """A file's tests, and the paths of its configuration."""

    config: tuple[Path, ...]
    tests: tuple[Placed, ...]


def load(path: Path) -> LoadedSuite:
    """Raises MeshError, with the place of everything that is wrong."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise MeshError(f"{path} cannot be read: {error.strerror}") from None
    documents = list(read(text, str(path)))
    for document in documents:
        if isinstance(document, Flaw):
            raise MeshError(f"{document.location}: {document.message}")
    if len(documents) != 1:
        raise MeshError(f"{path} has {len(documents)} documents; a file of tests is one, with `tests`")
    document = documents[0]
    assert not isinstance(document, Flaw)
    data = document.root.value
    findings = Findings()
    suite = decode(single_steps(data), Suite, (), findings)

    def place(*parts: str | int) -> Location:
        for end in range(len(parts), 0, -1):
            found = document.root.find(parts[:end])
            if found is not None:
                return Location(str(path), found[0], found[1])
        return Location(str(path), 1, 1)

    if suite is None:
        raise MeshError(
            "\n".join(
                f"{place(*written(data, each.path))}: {path_text(each.path)}: {each.message}" for each in findings.items
            )
        )
    tests = []
    for index, test in enumerate(suite.tests):
        steps = (place(*written(data, ("tests", index, "steps", number))) for number in range(len(test.steps)))
        faults = [
            f"{place(*written(data, ('tests', index, 'steps', number, *path)))}: {message}"
            for number, step in enumerate(test.steps)
            for path, message in faults_of(step)
        ]
        if faults:
            raise MeshError("\n".join(faults))
        if all(step.expect == Expect() for step in test.steps):
            raise MeshError(f"{place('tests', index)}: {test.name!r} expects nothing; give a step of it `expect`")
        tests.append(Placed(test, place("tests", index), tuple(steps)))
    return LoadedSuite(tuple(path.parent / each for each in suite.config), tuple(tests))


def faults_of(step: SuiteStep) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is of the right type and still not to be done, and which field says it."""
    headers: list[tuple[tuple[str | int, ...], dict[str, str]]] = [(("headers",), step.headers)]
    numbers: list[tuple[tuple[str | int, ...], float, int, int]] = [
        (("times",), step.times, 1, MOST),
        (("atOnce",), step.at_once, 0, MOST_AT_ONCE),
    ]
    for number, setting in enumerate(step.upstreams):
        at = ("upstreams", number)
        headers.append(((*at, "headers"), setting.headers))
        numbers += [((*at, "status"), setting.status, 200, 999), ((*at, "times"), setting.times, 0, MOST)]
    numbers += [(("expect", "shares", name), share, 0, 100) for name, share in step.expect.shares.items()]
    for path, value, low, high in numbers:
        if not low <= value <= high:
            yield path, f"{path[-1]} is {value:g}; right is {low} to {high:,}"
    if step.advance > LONGEST:
        yield ("advance",), f"advance is {step.advance / 3_600_000:g}h; right is {LONGEST // 3_600_000}h at most"
    for path, values in headers:
        for name, text in values.items():
            if not all(ord(char) < 256 for char in name + text):
                yield (
                    (*path, name),
                    f"the header {name}: {text} has characters that no byte stands for; write %XX",
                )
    if step.sni and not HOST.fullmatch(step.sni):
        yield ("sni",), f"{step.sni!r} is no host name for TLS"


def single_steps(data: Any) -> Any:
    """A test without `steps` is its own one step."""
    if not isinstance(data, dict) or not isinstance(data.get("tests"), list):
        return data
    return {**data, "tests": [in_steps(test) for test in data["tests"]]}


def in_steps(test: Any) -> Any:
    if not isinstance(test, dict) or "steps" in test:
        return test
    own = {key: value for key, value in test.items() if key in ("name", "seed")}
    return {**own, "steps": [{key: value for key, value in test.items() if key not in own}]}


def written(data: Any, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where a field stands in the text: without the `steps` that `in_steps` has put in."""
    if path[0:1] == ("tests",) and path[2:3] == ("steps",):
        tests = data["tests"]
        if isinstance(tests[path[1]], dict) and "steps" not in tests[path[1]]:
            return path[:2] + path[4:]
    return path
