"""How a decision by routes came about: each match that was looked at, in order, with the value seen and its place."""

from __future__ import annotations

from collections.abc import Iterable

from ..request import Request
from ..trace import Recorder, shown
from .rows import checks_of, path_match, ranked
from .rules import ResolvedRoute


def trace_routes(recorder: Recorder, routes: Iterable[ResolvedRoute], request: Request) -> bool:
    """Up to the first match that holds, as the data path does; whether one does."""
    for _, match, rule in ranked(routes):
        owner = rule.rule.owner
        name = f" ({rule.spec.name})" if rule.spec.name else ""
        recorder.note(f"{owner} {rule.rule.path}{name}", None, rule.rule.location, depth=1)
        path = path_match(match)
        held = path.matches(request.path)
        recorder.note(f"path {path}: saw {shown(request.path)}", held, rule.rule.location, depth=2)
        for check in checks_of(match):
            own = check.holds(request)
            recorder.note(f"{check} {check.match}: saw {shown(check.seen(request))}", own, rule.rule.location, depth=2)
            held = held and own
        if held:
            if rule.fault:
                recorder.note(f"the rule cannot be carried out: {rule.fault}", False, rule.rule.location, depth=2)
            for backend, ref in zip(rule.backends, rule.spec.backend_refs, strict=True):
                if backend.fault:
                    text = f"backend {ref.kind} {ref.name} answers 500 for its share: {backend.fault}"
                    recorder.note(text, False, rule.rule.location, depth=2)
            return True
    recorder.note("no rule of the routes matches, and there is no way past them", False)
    return False


def told(recorder: Recorder, routes: Iterable[ResolvedRoute], where: str) -> None:
    """Which routes count, the oldest first."""
    for route in sorted(routes, key=lambda entry: entry.age):
        recorder.note(f"{route.owner} {where}", True, route.owner.location)
