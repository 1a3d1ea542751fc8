"""A difference for people: as text, and as Markdown for pull requests."""

from __future__ import annotations

from collections.abc import Iterator

from .compare import BehaviourChange, Difference
from .spots import UNKNOWN
from .told import NONE, TO, absent

#: Classes of one host that are written out where they all change in the same way.
SHOWN = 5

STRANGERS = "hosts that the mesh does not know"


def render_text(difference: Difference) -> str:
    lines: list[str] = []
    for title, groups in places(difference):
        lines.append(title)
        for group in groups:
            lines += text_of(group)
    lines += [f"not looked at: {cut}" for cut in difference.cut]
    lines += [f"not compared: {each}" for each in difference.silent]
    lines.append(summary(difference))
    return "\n".join(lines) + "\n"


def text_of(group: list[BehaviourChange]) -> Iterator[str]:
    """Changes that are the same for several classes."""
    for change in group[:SHOWN]:
        asks = change.asks + (f", from {' or '.join(change.clients)}" if change.clients else "")
        yield f"  {asks[:1].upper()}{asks[1:]}"
    if len(group) > SHOWN:
        yield f"  … and {len(group) - SHOWN} more classes, which change likewise"
    first = group[0]
    for aspect in first.aspects:
        yield f"      {said(first, aspect)}"
    places = [side.rule for side in (first.new, first.old)]
    if any(places):
        yield f"      by {places[0] or 'no rule'}"
        yield f"      before by {places[1] or 'no rule'}"


def said(change: BehaviourChange, aspect: str) -> str:
    """`now go to reviews v2, before to 75 % reviews v1, 25 % reviews v2`."""
    before, after = (side.told.get(aspect, absent(aspect)) for side in (change.old, change.new))
    if aspect == TO:
        return f"{verb(after)}, before {verb(before, now=False)}"
    return f"{aspect}: {after}, before {before}"


def verb(told: str, now: bool = True) -> str:
    """Where something goes, as a sentence has it."""
    if told[:1].isdigit() and "%" not in told:
        return f"{'now get ' if now else ''}{told}"
    if told.startswith(("answered", "redirect", "nothing")):
        return f"{'now ' if now else ''}{told}"
    return f"{'now go ' if now else ''}to {told}"


def places(difference: Difference) -> list[tuple[str, list[list[BehaviourChange]]]]:
    """The changes by place, those together that are the same for several classes."""
    found: dict[str, dict[tuple[object, ...], list[BehaviourChange]]] = {}
    for change in difference.changes:
        title = STRANGERS if change.host == UNKNOWN else f"{change.host}:{change.port}"
        title += f" at {change.gateway}" if change.gateway else ""
        key = (
            tuple((aspect, change.old.told.get(aspect), change.new.told.get(aspect)) for aspect in change.aspects),
            change.old.rule,
            change.new.rule,
        )
        found.setdefault(title, {}).setdefault(key, []).append(change)
    return [(title, list(groups.values())) for title, groups in found.items()]


def summary(difference: Difference) -> str:
    count = len(difference.changes)
    if not count:
        return "nothing changes in what was looked at" if difference.cut or difference.silent else "nothing changes"
    return f"{count} {'class changes' if count == 1 else 'classes change'}"


def render_markdown(difference: Difference) -> str:
    lines = [f"**{summary(difference)}**", ""]
    for title, groups in places(difference):
        lines += [f"### `{title}`", "", "| who | before | after | rule |", "|---|---|---|---|"]
        for group in groups:
            lines += rows_of(group)
        lines.append("")
    lines += [f"- not looked at: {cell(cut)}" for cut in difference.cut]
    lines += [f"- not compared: {cell(each)}" for each in difference.silent]
    return "\n".join(lines).rstrip() + "\n"


def rows_of(group: list[BehaviourChange]) -> Iterator[str]:
    first = group[0]
    who = [change.asks + (f", from {' or '.join(change.clients)}" if change.clients else "") for change in group]
    shown = who[:SHOWN] + ([f"… and {len(who) - SHOWN} more"] if len(who) > SHOWN else [])
    sides = []
    for side in (first.old, first.new):
        parts = [
            side.told.get(aspect, NONE) if aspect == TO else f"{aspect}: {side.told.get(aspect, absent(aspect))}"
            for aspect in first.aspects
        ]
        sides.append("<br>".join(map(cell, parts)))
    rule = first.new.rule or first.old.rule
    yield f"| {'<br>'.join(map(cell, shown))} | {sides[0]} | {sides[1]} | {cell(rule)} |"


def cell(text: str) -> str:
    """Text that stays in its cell: names come from whoever writes rules."""
    for letter in "\\|`*_<>[]":
        text = text.replace(letter, "\\" + letter)
    return text.replace("\n", " ")
