"""How a decision by routes came about: each match that was looked at, in order, with the value seen and its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..decision import Decision, Route
from ..request import Request
from ..trace import Recorder, shown
from .rows import checks_of, path_match, ranked
from .rules import BackendTraffic, ResolvedRoute


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
            for entry in rule.spec.filters:
                if entry.external_auth is not None and rule.auth is not None:
                    wish, why = entry.external_auth, rule.auth.fault
                    text = f"{wish.backend_ref.kind} {wish.backend_ref.name} is asked whether it may pass"
                    text += f"; it cannot be, and all requests get 500: {why}" if why else ""
                    recorder.note(text, False if why else None, rule.rule.location, depth=2)
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


def trace_traffic(recorder: Recorder, traffic: Mapping[str, BackendTraffic], decision: Decision) -> None:
    """What XBackendTrafficPolicies have for the Services of a decision, as far as it counts there."""
    if not isinstance(decision, Route):
        return
    clusters = {entry.cluster.host: entry.cluster for entry in decision.destinations if entry.cluster is not None}
    for host, cluster in clusters.items():
        policy = traffic.get(host)
        if policy is None:
            continue
        budget = policy.retry_budget
        if budget is not None:
            text = (
                f"{policy.owner}: of the requests to {host} in {budget.interval:g} s at most {budget.percent:g} % are"
            )
            text += f" retries, but always {budget.min_concurrency}; beyond that clients get 503"
            if cluster.retry_budget != budget:
                text += "; a DestinationRule's retryBudget counts in its place"
            recorder.note(text, cluster.retry_budget == budget, policy.owner.location)
        if policy.session is not None:
            by = f"cookie {policy.session.cookie.decode()}" if policy.session.cookie else ""
            by = by or f"field {policy.session.header.decode()}"
            text = f"{policy.owner}: sessions keep their endpoint by the {by}"
            if decision.session != policy.session:
                text += "; another session counts in its place"
            recorder.note(text, decision.session == policy.session, policy.owner.location)
