"""The matcher with a recorder: each rule and clause that was looked at, the value seen there, and whether it held."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..config.meta import Location
from ..config.virtualservice import HTTPMatchRequest, L4MatchAttributes, TLSMatchAttributes
from ..registry.snapshot import Service, Snapshot
from .connections import connection_applies, connection_rules
from .decision import Decision, Rule
from .lookup import Lookup
from .match import FIELD_NAMES, HEADER, QUERY, WITHOUT, Check, http_row
from .names import covers, is_visible, specificity
from .request import Request
from .routes import RouteBuilder
from .tables import VIRTUAL_SERVICE, HttpRule, TcpRule, TlsRule, VirtualService


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One thing that was looked at. `held` is None for what is merely told; `depth` is how far it is nested."""

    text: str
    held: bool | None = None
    file: str = ""
    line: int = 0
    depth: int = 0


class Recorder:
    """Collects steps, and knows where each part of the configuration was written."""

    __slots__ = ("_snapshot", "steps")

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self.steps: list[Step] = []

    def note(self, text: str, held: bool | None = None, place: Location | None = None, depth: int = 0) -> None:
        place = place or Location()
        self.steps.append(Step(text=text, held=held, file=place.file, line=place.line, depth=depth))

    def place(self, rule: Rule, *path: str | int) -> Location:
        """Where a part of a rule was written; the rule's own place where that is not known."""
        if self._snapshot is None or rule.owner.kind != VIRTUAL_SERVICE:
            return rule.location
        item = self._snapshot.virtual_services.get(rule.owner.key)
        if item is None or not rule.path:
            return rule.location
        kind, _, index = rule.path.removeprefix("spec.").rstrip("]").partition("[")
        return item.locate("spec", kind, int(index), *path)


def considered(recorder: Recorder, lookup: Lookup, host: str) -> None:
    """Every VirtualService whose hosts cover `host`, the one that applies and why the others do not."""
    tables = lookup.tables
    winner: VirtualService | None = None
    for key in lookup.virtual_service_keys(host):
        virtual_service = tables.virtual_services[key]
        if winner is None:
            winner = virtual_service
            recorder.note(f"VirtualService {key} applies to {host}", True, virtual_service.location)
        else:
            recorder.note(
                f"VirtualService {key} covers {host} too, but {winner.key} comes before it: "
                f"{why_first(winner, virtual_service, host)}",
                False,
                virtual_service.location,
            )
    for virtual_service in tables.virtual_services.values():
        if not any(covers(pattern, host) for pattern in virtual_service.hosts):
            continue
        if not is_visible(virtual_service.export_to, lookup.client.namespace):
            shown = ", ".join(virtual_service.export_to) or "nobody"
            text = f"is exported to {shown}, not to {lookup.client.namespace}"
        elif not lookup.is_bound(virtual_service):
            text = f"is for {', '.join(virtual_service.gateways)}, not for {', '.join(lookup.gateways)}"
        elif not lookup.scope.imports(virtual_service.namespace, virtual_service.hosts):
            text = "is not imported by the client's Sidecar"
        else:
            continue
        recorder.note(f"VirtualService {virtual_service.key} {text}", False, virtual_service.location)


def why_first(first: VirtualService, second: VirtualService, host: str) -> str:
    """What decides between two VirtualServices that both apply to a host; `first` comes before `second`."""
    nearest, other = (
        max((name for name in entry.hosts if covers(name, host)), key=specificity) for entry in (first, second)
    )
    if nearest != other:
        return f"its host {nearest} is more specific than {other}"
    if first.export_to != second.export_to and "*" not in first.export_to:
        return f"it is exported to {', '.join(first.export_to)} alone"
    return "it is older" if first.created < second.created else "both are of the same age, and its name comes first"


def trace_http(
    recorder: Recorder, builder: RouteBuilder, virtual_service: VirtualService, port: int, request: Request
) -> Decision | None:
    """Walk the rules as the data path does, up to the first that matches; None if none does."""
    for rule in virtual_service.http:
        place = recorder.place(rule.rule)
        name = f" ({rule.route.name})" if rule.route.name else ""
        recorder.note(f"{rule.rule.path}{name}", None, place, depth=1)
        if rule.delegate is not None:
            delegate = rule.delegate
            recorder.note(f"delegated to {delegate.owner.key} {delegate.path}", None, delegate.location, depth=2)
        for index, match in enumerate(rule.route.match) if rule.route.match else [(-1, None)]:
            if trace_entry(recorder, builder.lookup, virtual_service, rule, match, index, port, request):
                decision = builder.http_decision(rule, match, port)
                if decision is not None:
                    return decision
                recorder.note("the rule has no action that can be carried out", False, place, depth=2)
    return None


def trace_entry(
    recorder: Recorder,
    lookup: Lookup,
    virtual_service: VirtualService,
    rule: HttpRule,
    match: HTTPMatchRequest | None,
    index: int,
    port: int,
    request: Request,
) -> bool:
    """One match entry, clause by clause; the clauses behind one that fails are shown as well."""
    bound = any(name in lookup.gateways for name in virtual_service.gateways)
    if match is None:
        recorder.note("no match: everything" if bound else "no match, but not for this gateway", bound, depth=2)
        return bound
    path = () if rule.delegate is not None else ("match", index)
    held = True
    for text, own, field in (*client_clauses(match, bound, lookup, port), *request_clauses(match, request)):
        recorder.note(text, own, recorder.place(rule.rule, *path, *(field if path else ())), depth=2)
        held = held and own
    if match == HTTPMatchRequest():
        recorder.note("an empty match: everything", bound, depth=2)
    return held


Clause = tuple[str, bool, tuple[str | int, ...]]


def client_clauses(match: HTTPMatchRequest, bound: bool, lookup: Lookup, port: int) -> Iterator[Clause]:
    """What was decided about the client and port when its view was made."""
    client = lookup.client
    if match.port:
        yield f"port {match.port}: dialled {port}", match.port == port, ("port",)
    if match.gateways:
        held = any(name in lookup.gateways for name in match.gateways)
        yield f"gateways {', '.join(match.gateways)}: at {', '.join(lookup.gateways)}", held, ("gateways",)
        return
    if not bound:
        yield f"the VirtualService is not for {', '.join(lookup.gateways)}", False, ()
    if match.source_namespace:
        held = match.source_namespace == client.namespace
        yield f"sourceNamespace {match.source_namespace}: client in {client.namespace}", held, ("sourceNamespace",)
    for key, value in match.source_labels.items():
        seen = client.labels.get(key)
        yield f"sourceLabels {key}={value}: client has {shown(seen)}", seen == value, ("sourceLabels", key)


def request_clauses(match: HTTPMatchRequest, request: Request) -> Iterator[Clause]:
    """What the data path checks for each request, with the data path's own matchers."""
    row = http_row(match, Decision(), 0)
    if row.uri is not None:
        folded = " ignoring case" if match.ignore_uri_case else ""
        text = f"uri {row.uri}{folded}: saw {shown(request.path)}"
        yield text, row.uri.matches(request.path), ("uri",)
    for check in row.checks:
        yield f"{check} {check.match}: saw {shown(check.seen(request))}", check.holds(request), field_of(check, match)


def field_of(check: Check, match: HTTPMatchRequest) -> tuple[str | int, ...]:
    """The clause's path inside its match entry, with the name as its author wrote it."""
    field = FIELD_NAMES[check.field]
    if check.field not in (HEADER, WITHOUT, QUERY):
        return (field,)
    names = {HEADER: match.headers, WITHOUT: match.without_headers, QUERY: match.query_params}[check.field]
    lowered = check.key.decode()
    return (field, next((name for name in names if lowered in (name, name.lower())), lowered))


def shown(value: bytes | str | None) -> str:
    if value is None:
        return "none"
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)


def trace_connection(
    recorder: Recorder, builder: RouteBuilder, service: Service, port: int, sni: str | None, address: str
) -> None:
    """TLS rules (where a server name was sent) and TCP rules, as far as the port has them, each match by itself: of
    several that hold the most exact one decides."""
    rules = connection_rules(builder, service, port)
    rows = {(row.rule, row.entry): row for row in (*rules.tls_rows, *rules.tcp_rows)}
    for key in builder.lookup.connection_keys(service.host):
        virtual_service = builder.lookup.tables.virtual_services[key]
        told: tuple[TlsRule | TcpRule, ...] = virtual_service.tcp
        if sni is not None:
            told = (*virtual_service.tls, *virtual_service.tcp)
        for rule in told:
            recorder.note(rule.rule.path, None, recorder.place(rule.rule), depth=1)
            entries: list[tuple[int, TLSMatchAttributes | L4MatchAttributes | None]] = [(-1, None)]
            if rule.route.match:
                entries = list(enumerate(rule.route.match))
            for index, match in entries:
                row = rows.get((rule.rule, index))
                held = row is not None and row.matches(sni or "", address)
                text = connection_text(match, builder.lookup, virtual_service, port, sni, address)
                recorder.note(text, held, recorder.place(rule.rule, *(("match", index) if index >= 0 else ())), depth=2)


def connection_text(
    match: TLSMatchAttributes | L4MatchAttributes | None,
    lookup: Lookup,
    virtual_service: VirtualService,
    port: int,
    sni: str | None,
    address: str,
) -> str:
    if match is None:
        return "no match: every connection"
    parts = []
    if isinstance(match, TLSMatchAttributes):
        parts.append(f"sniHosts {', '.join(match.sni_hosts)}: saw {shown(sni)}")
    if match.destination_subnets:
        parts.append(f"destinationSubnets {', '.join(match.destination_subnets)}: dialled {address or 'none'}")
    if match.port:
        parts.append(f"port {match.port}: dialled {port}")
    bound = any(name in lookup.gateways for name in virtual_service.gateways)
    if not connection_applies(match, bound, lookup, port):
        parts.append("not for this client, gateway or port")
    return "; ".join(parts) or "an empty match: every connection"
