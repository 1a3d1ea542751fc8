"""What `explain` answers: the decision in words and figures, for machines (JSON) and people (text)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..config.meta import Location
from ..reasons import Reason
from ..registry.snapshot import Endpoint, Health, Resolution
from .decision import (
    Cluster,
    Decision,
    DirectResponse,
    Failure,
    HeaderOps,
    HttpReason,
    HttpVersion,
    Redirect,
    Route,
    WeightedCluster,
)
from .frontend import Frontend, Mode
from .question import Question
from .request import Request
from .rewrite import redirect_location, rewrite_path
from .tables import VIRTUAL_SERVICE
from .trace import Recorder, Step
from .upstream import told

#: What became of it where there is no route, by reason.
FAILURES = {
    Reason.ROUTE_NOT_FOUND: "no_rule",
    Reason.HOST_NOT_FOUND: "no_host",
    Reason.BLACKHOLE: "blackhole",
    Reason.INVALID_BACKEND: "no_backend",
    Reason.MISDIRECTED: "misdirected",
}

GATEWAY_MODE = "gateways are served by the proxy"


class ExplanationPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the parts of an explanation, as they appear in JSON."""


class ExplainedEndpoint(ExplanationPart, frozen=True, kw_only=True):
    address: str
    port: int
    health: str
    workload: str = ""
    locality: str = ""


class ExplainedDestination(ExplanationPart, frozen=True, kw_only=True):
    """`known` is false where no service, port or subset of that name exists. `upstream_http` is http/1.1, http/2 or
    client (as it speaks), `http_reason` the word for what settles that; both are empty where no request is sent."""

    cluster: str
    host: str
    port: int
    subset: str
    weight: int
    endpoints: tuple[ExplainedEndpoint, ...] = ()
    known: bool = True
    upstream_http: str = ""
    http_reason: str = ""


class ExplainedRule(ExplanationPart, frozen=True, kw_only=True):
    path: str
    name: str = ""
    file: str = ""
    line: int = 0


class Explanation(ExplanationPart, frozen=True, kw_only=True):
    """The answer to one question. `outcome` is one of route, redirect, direct_response, no_rule, no_host,
    unknown_destination, no_endpoints, no_backend, misdirected, passthrough, blackhole, no_listener, refused."""

    outcome: str
    reason: str
    mode: str
    mode_reason: str = ""
    service: str | None = None
    virtual_service: str | None = None
    route: str | None = None  # of the Gateway API: "HTTPRoute namespace/name"
    rule: ExplainedRule | None = None
    status: int | None = None
    location: str | None = None
    destinations: tuple[ExplainedDestination, ...] = ()
    rewrite: dict[str, str] | None = None
    headers: dict[str, Any] | None = None
    timeout: str | None = None
    retries: dict[str, Any] | None = None
    fault: dict[str, Any] | None = None
    mirrors: tuple[dict[str, Any], ...] = ()
    steps: tuple[Step, ...] = ()


def conclude(
    decision: Decision, question: Question, recorder: Recorder, frontend: Frontend | None, *, is_request: bool
) -> Explanation:
    """`is_request` is false where a connection was decided as a whole: it has no retries."""
    rule = decision.rule
    destinations = decision.destinations if isinstance(decision, Route) else ()
    explained = tuple(explained_destination(entry, is_request=is_request) for entry in destinations)
    outcome, status = outcome_of(decision)
    service = frontend.service if frontend is not None else None
    return Explanation(
        outcome=outcome,
        reason=reason_word(reason_of(outcome, decision)),
        mode=frontend.mode.value if frontend is not None else Mode.PROXY.value,
        mode_reason=frontend.mode_reason if frontend is not None else GATEWAY_MODE,
        service=service.host if service is not None else None,
        virtual_service=rule.owner.key if rule.owner.kind == VIRTUAL_SERVICE else None,
        route=str(rule.owner) if rule.owner.kind not in ("", VIRTUAL_SERVICE) else None,
        rule=explained_rule(rule.path, decision.name, recorder.place(rule)) if rule.path else None,
        status=status if question.scheme in ("http", "https") else None,
        location=location_of(decision, question),
        destinations=explained,
        rewrite=explained_rewrite(decision, question.request),
        headers=explained_headers(decision),
        timeout=duration(decision.timeout) if isinstance(decision, Route) and decision.timeout else None,
        retries=explained_retries(decision) if is_request else None,
        fault=explained_fault(decision),
        mirrors=tuple(
            {"cluster": mirror.cluster_name, "percentage": mirror.percent}
            for mirror in (decision.mirrors if isinstance(decision, Route) else ())
        ),
        steps=tuple(recorder.steps),
    )


def outcome_of(decision: Decision) -> tuple[str, int | None]:
    if isinstance(decision, Redirect):
        return "redirect", decision.status
    if isinstance(decision, DirectResponse):
        return "direct_response", decision.status
    if isinstance(decision, Failure):
        return FAILURES.get(decision.reason, "refused"), decision.status
    assert isinstance(decision, Route)
    if decision.reason is Reason.PASSTHROUGH:
        return "passthrough", None
    if all(entry.cluster is None for entry in decision.destinations):
        return "unknown_destination", 503
    if all(entry.cluster is None or not is_served(entry) for entry in decision.destinations):
        return "no_endpoints", 503
    return "route", None


def reason_of(outcome: str, decision: Decision) -> Reason:
    by_outcome = {"unknown_destination": Reason.CLUSTER_NOT_FOUND, "no_endpoints": Reason.NO_HEALTHY_UPSTREAM}
    return by_outcome.get(outcome, decision.reason)


def reason_word(reason: Reason) -> str:
    """The reason's name in lower case; empty where nothing ended early."""
    return reason.name.lower() if reason is not Reason.NONE else ""


def is_served(destination: WeightedCluster) -> bool:
    cluster = destination.cluster
    if cluster is None:
        return False
    if cluster.resolution in (Resolution.NONE, Resolution.DYNAMIC_DNS):
        return True
    return any(endpoint.health is not Health.UNREADY for endpoint in cluster.all_endpoints)


def chosen_from(cluster: Cluster) -> tuple[Endpoint, ...]:
    """A group's endpoints, or those in reserve where none of them is ready."""
    if cluster.reserve and not any(endpoint.health is Health.READY for endpoint in cluster.endpoints):
        return cluster.reserve
    return cluster.endpoints


def explained_destination(destination: WeightedCluster, *, is_request: bool) -> ExplainedDestination:
    cluster = destination.cluster
    _, _, rest = destination.cluster_name.partition("|")
    port, _, rest = rest.partition("|")
    subset, _, host = rest.partition("|")
    return ExplainedDestination(
        cluster=destination.cluster_name,
        host=host or destination.cluster_name,
        port=int(port or 0),
        subset=subset,
        weight=destination.weight,
        known=cluster is not None,
        upstream_http=cluster.upstream_http.value if cluster is not None and is_request else "",
        http_reason=cluster.http_reason.value if cluster is not None and is_request else "",
        endpoints=tuple(
            ExplainedEndpoint(
                address=endpoint.address,
                port=endpoint.port,
                health=endpoint.health.value,
                workload=endpoint.workload,
                locality=str(endpoint.locality),
            )
            for endpoint in (chosen_from(cluster) if cluster is not None else ())
        ),
    )


def explained_rule(path: str, name: str, place: Location) -> ExplainedRule:
    return ExplainedRule(path=path, name=name, file=place.file, line=place.line)


def location_of(decision: Decision, question: Question) -> str | None:
    if not isinstance(decision, Redirect):
        return None
    location = redirect_location(decision, question.request, listener_port=question.port)
    return location.decode(errors="replace")


def explained_rewrite(decision: Decision, request: Request) -> dict[str, str] | None:
    if not isinstance(decision, Route) or decision.rewrite is None:
        return None
    found: dict[str, str] = {}
    path = rewrite_path(decision, request.path)
    if path != request.path:
        found["path"] = path.decode(errors="replace")
    if decision.rewrite.authority:
        found["authority"] = decision.rewrite.authority.decode(errors="replace")
    return found or None


def explained_headers(decision: Decision) -> dict[str, Any] | None:
    found = {
        "request": explained_ops(decision.request_headers),
        "response": explained_ops(decision.response_headers),
    }
    return {key: value for key, value in found.items() if value} or None


def explained_ops(ops: HeaderOps | None) -> dict[str, Any]:
    if ops is None:
        return {}
    found: dict[str, Any] = {}
    if ops.remove:
        found["remove"] = [name.decode() for name in ops.remove]
    for word, changes in (("set", ops.set), ("add", ops.add)):
        if changes:
            found[word] = {change.name.decode(): change.value.decode(errors="replace") for change in changes}
    return found


def explained_retries(decision: Decision) -> dict[str, Any] | None:
    retry = decision.retry if isinstance(decision, Route) else None
    if retry is None:
        return None
    on = sorted(retry.on) + [str(code) for code in sorted(retry.status_codes)]
    found: dict[str, Any] = {"attempts": retry.attempts, "retryOn": ",".join(on)}
    if retry.per_try_timeout:
        found["perTryTimeout"] = duration(retry.per_try_timeout)
    return found


def explained_fault(decision: Decision) -> dict[str, Any] | None:
    fault = decision.fault
    if fault is None:
        return None
    found: dict[str, Any] = {}
    if fault.delay_percent:
        found["delay"] = {"fixedDelay": duration(fault.delay), "percentage": fault.delay_percent}
    if fault.abort_percent:
        status: dict[str, Any] = {"httpStatus": fault.abort_status}
        if fault.abort_grpc >= 0:
            status = {"grpcStatus": fault.abort_grpc}
        found["abort"] = {**status, "percentage": fault.abort_percent}
    return found


def duration(seconds: float) -> str:
    return f"{seconds:g}s"


# === as text

MARKS = {True: "✓", False: "✗", None: "·"}


def render_text(explanation: Explanation) -> str:
    """The explanation for people: first how it came about, then what becomes of it."""
    lines = [rendered_step(step) for step in explanation.steps]
    status = f" {explanation.status}" if explanation.status is not None else ""
    reason = f" ({explanation.reason})" if explanation.reason not in ("", explanation.outcome) else ""
    lines.append(f"=> {explanation.outcome}{status}{reason}")
    lines += [f"   {name:<8} {value}" for name, value in results(explanation)]
    return "\n".join(lines) + "\n"


def rendered_step(step: Step) -> str:
    place = f"  ({step.file}:{step.line})" if step.line else ""
    return f"{'  ' * step.depth}{MARKS[step.held]} {step.text}{place}"


def results(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """What there is to tell of the outcome, line by line."""
    if explanation.service is not None:
        yield "service", explanation.service
    yield "mode", explanation.mode + (f": {explanation.mode_reason}" if explanation.mode_reason else "")
    if explanation.rule is not None:
        rule = explanation.rule
        name = f" `{rule.name}`" if rule.name else ""
        yield "rule", f"{explanation.route or explanation.virtual_service} {rule.path}{name}  ({rule.file}:{rule.line})"
    if explanation.location:
        yield "location", explanation.location
    for destination in explanation.destinations:
        note = "" if destination.known else "  (no such service, port or subset)"
        yield "to", f"{destination.weight:>3}  {destination.cluster}{note}"
        if destination.upstream_http:
            version, reason = HttpVersion(destination.upstream_http), HttpReason(destination.http_reason)
            yield "", f"     as {told(version, reason)}"
        for endpoint in destination.endpoints:
            yield "", f"     {endpoint.address}:{endpoint.port}  {endpoint.health}  {endpoint.workload}".rstrip()
    for name in ("rewrite", "headers", "timeout", "retries", "fault"):
        value = getattr(explanation, name)
        if value:
            yield name, value if isinstance(value, str) else msgspec.json.encode(value).decode()
    for mirror in explanation.mirrors:
        yield "mirror", f"{mirror['percentage']:g} % to {mirror['cluster']}"
