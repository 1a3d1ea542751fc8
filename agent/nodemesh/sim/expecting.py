"""What a test expects of answers, and what of it does not hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..config.base import Duration, Model
from .answer import Answer, Answers

#: How far a random share may lie from its mean: 4.5 standard deviations, once in 150,000 runs.
SIGMAS = 4.5


class Saw(Model, frozen=True, kw_only=True):
    """What the upstream saw of the request; a header of an empty value is one that must not be there."""

    method: str | None = None
    path: str | None = None
    host: str | None = None
    headers: dict[str, str] = {}
    body: str | None = None


class Expect(Model, frozen=True, kw_only=True):
    """All of it must hold for each answer; `shares` (percent) and `statuses` (numbers of answers) are of all together.
    `to` is a subset, a service, a pod or an address. `rule` is a part of the rule's name or place."""

    status: int | None = None
    grpc_status: int | None = None
    error: str | None = None
    to: str | None = None
    rule: str | None = None
    flags: str | None = None
    mode: str | None = None
    tries: int | None = None
    seconds: Duration | None = None
    body: str | None = None
    headers: dict[str, str] = {}
    copies: int | None = None
    saw: Saw | None = None
    shares: dict[str, float] = {}
    statuses: dict[str, int] = {}


def failures(expect: Expect, answers: Sequence[Answer]) -> list[str]:
    """A sentence for each thing that does not hold; of many answers, the first of each kind."""
    found: dict[str, str] = {}
    for answer in answers:
        for what, text in of_answer(expect, answer):
            found.setdefault(what, text)
    for name, percent in expect.shares.items():
        low, high = binomial_bounds(len(answers), percent / 100)
        hits = sum(answer.routed_to(name) for answer in answers)
        if not low <= hits <= high:
            spread = ", ".join(f"{count} to {to}" for to, count in Answers(answers).to.most_common())
            found[f"shares.{name}"] = (
                f"{hits} of {len(answers)} went to {name}, which is {hits / max(len(answers), 1):.1%} and not "
                f"{percent:g} %: {spread}"
            )
    if expect.statuses:
        seen = {str(status): count for status, count in Answers(answers).statuses.items()}
        if seen != expect.statuses:
            found["statuses"] = f"the statuses are {said(seen)}, not {said(expect.statuses)}"
    return list(found.values())


def of_answer(expect: Expect, answer: Answer) -> Iterator[tuple[str, str]]:
    for what, wanted, got in (
        ("status", expect.status, answer.status),
        ("grpc_status", expect.grpc_status, answer.grpc_status),
        ("error", expect.error, answer.error),
        ("flags", expect.flags, answer.flags),
        ("mode", expect.mode, answer.mode),
        ("tries", expect.tries, answer.tries),
        ("copies", expect.copies, len(answer.copies)),
        ("body", expect.body, answer.text),
    ):
        if wanted is not None and got != wanted:
            yield what, f"{what.replace('_', ' ')} is {got!r}, not {wanted!r}: {answer}"
    if expect.to is not None and not answer.routed_to(expect.to):
        yield "to", f"it went to {answer.to}, not to {expect.to}: {answer}"
    if expect.rule is not None and expect.rule not in answer.rule:
        yield "rule", f"the rule is {answer.rule or 'none'}, not {expect.rule}"
    if expect.seconds is not None and round(answer.seconds * 1000) != expect.seconds:
        yield "seconds", f"it took {answer.seconds:g} s, not {expect.seconds / 1000:g} s: {answer}"
    for name, value in expect.headers.items():
        if answer.headers.get(name.lower(), "") != value:
            yield f"headers.{name}", f"the header {name} is {answer.headers.get(name.lower(), '')!r}, not {value!r}"
    if expect.saw is not None:
        yield from of_upstream(expect.saw, answer)


def of_upstream(saw: Saw, answer: Answer) -> Iterator[tuple[str, str]]:
    if not answer.seen:
        yield "saw", f"no upstream has seen it: {answer}"
        return
    last = answer.seen[-1]
    for what, wanted, got in (
        ("method", saw.method, last.method),
        ("path", saw.path, last.path),
        ("host", saw.host, last.host),
        ("body", saw.body, last.body.decode(errors="replace")),
    ):
        if wanted is not None and got != wanted:
            yield f"saw.{what}", f"{last.pod} saw the {what} {got!r}, not {wanted!r}"
    for name, value in saw.headers.items():
        if last.headers.get(name.lower(), "") != value:
            yield f"saw.{name}", f"{last.pod} saw {name} as {last.headers.get(name.lower(), '')!r}, not {value!r}"


def said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items())) or "none"


def binomial_bounds(count: int, share: float) -> tuple[float, float]:
    """Between which numbers of hits a fair draw stays."""
    mean, deviation = count * share, math.sqrt(count * share * (1 - share))
    return mean - SIGMAS * deviation, mean + SIGMAS * deviation
