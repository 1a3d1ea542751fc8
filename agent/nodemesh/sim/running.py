"""Runs tests that are written in YAML."""

from __future__ import annotations

from typing import Any

import msgspec

from ..config.meta import Location
from ..routing.tables import Tables
from .answer import Answers
from .deeds import Act
from .expecting import failures
from .mesh import Mesh
from .places import MeshError
from .suite import Placed, Setting, SuiteStep
from .upstream import Upstream

#: What a setting may do beside the acts, and how.
STATES = {"refuse": Upstream.refuses, "vanish": Upstream.vanishes, "recover": Upstream.recovers}
WORDS = (*(act.value for act in Act), *STATES)


class CaseOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one test; without failures it has passed. `seconds` are the virtual clock's."""

    name: str
    location: Location
    failures: tuple[tuple[Location, str], ...] = ()
    requests: int = 0
    seconds: float = 0.0


def run(placed: Placed, tables: Tables) -> CaseOutcome:
    """One test, in a mesh of its own."""
    mesh = Mesh(tables, seed=placed.test.seed)
    began, requests = mesh.now, 0
    found: list[tuple[Location, str]] = []
    for step, location in zip(placed.test.steps, placed.steps, strict=True):
        try:
            answers = do(mesh, step)
        except MeshError as error:
            found.append((location, str(error)))
            break
        requests += len(answers)
        found += [(location, text) for text in failures(step.expect, answers)]
    return CaseOutcome(
        name=placed.test.name,
        location=placed.location,
        failures=tuple(found),
        requests=requests,
        seconds=round(mesh.now - began, 3),
    )


def do(mesh: Mesh, step: SuiteStep) -> Answers:
    """One step. Raises MeshError."""
    for setting in step.upstreams:
        arrange(mesh, setting)
    if step.advance:
        mesh.advance(step.advance / 1000)
    if bool(step.send) and bool(step.grpc):
        raise MeshError("a step has either send or grpc")
    who: dict[str, Any] = {"as_": step.as_, "labels": step.labels, "gateway": step.gateway}
    if step.grpc:
        message = step.body.encode()
        return Answers(mesh.grpc(step.grpc, message, step.headers, **who) for _ in range(step.times))
    if not step.send:
        return Answers()
    options = {**who, "body": step.body, "http2": step.http2, "sni": step.sni, "source": step.source}
    if step.at_once:
        return mesh.at_once(step.at_once, step.send, step.headers, **options)
    return mesh.send_many(step.times, step.send, step.headers, **options)


def arrange(mesh: Mesh, setting: Setting) -> None:
    """Have the upstreams do as the setting says."""
    upstream = mesh.upstream(setting.name, setting.subset, namespace=setting.namespace)
    after = setting.after / 1000
    if setting.does in STATES:
        STATES[setting.does](upstream)
    elif setting.does == Act.ANSWER:
        upstream.answers(
            setting.status,
            setting.body,
            setting.headers,
            after=after,
            times=setting.times,
            grpc_status=setting.grpc_status,
        )
    elif setting.does == Act.HANG:
        upstream.hangs(setting.times)
    elif setting.does == Act.RESET:
        upstream.resets(setting.times, after=after)
    elif setting.does == Act.CLOSE:
        upstream.closes(setting.times, after=after)
    else:
        raise MeshError(f"upstreams do not {setting.does!r}; right are {', '.join(WORDS)}")
