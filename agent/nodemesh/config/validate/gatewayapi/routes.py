"""Rules of HTTPRoute, GRPCRoute, TLSRoute, TCPRoute and UDPRoute."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...gatewayapi.filters import GRPCRouteFilter, HTTPPathModifier, HTTPPathModifierType, HTTPRouteFilter
from ...gatewayapi.policies import (
    CookieLifetimeType,
    SessionPersistence,
    SessionPersistenceType,
)
from ...gatewayapi.routes import (
    ConnectionRule,
    GRPCBackendRef,
    GRPCMethodMatch,
    GRPCRouteSpec,
    HTTPBackendRef,
    HTTPPathMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    MatchType,
    PathMatchType,
    TCPRouteSpec,
    TLSRouteSpec,
    UDPRouteSpec,
)
from ...meta import Meta, Path
from ...problems import Findings
from ..common import is_ip
from .common import check_backend, check_parents, check_unique
from .filters import check_filters

MAX_MATCHES = 128

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")
_SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII)
_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_FORBIDDEN = ("//", "/./", "/../", "%2f", "%2F", "#")

_PARENTS: Path = ("spec", "parentRefs")
_RULES: Path = ("spec", "rules")


def check_http_route(spec: HTTPRouteSpec, meta: Meta, findings: Findings) -> None:
    check_parents(spec.parent_refs, _PARENTS, findings)
    check_unique((rule.name for rule in spec.rules), _RULES, findings, "the rule name", "name")
    _matches_in_all([len(rule.matches) for rule in spec.rules], findings)
    for index, rule in enumerate(spec.rules):
        _http_rule(rule, (*_RULES, index), findings)


def check_grpc_route(spec: GRPCRouteSpec, meta: Meta, findings: Findings) -> None:
    check_parents(spec.parent_refs, _PARENTS, findings)
    check_unique((rule.name for rule in spec.rules), _RULES, findings, "the rule name", "name")
    _matches_in_all([len(rule.matches) for rule in spec.rules], findings)
    for index, rule in enumerate(spec.rules):
        path: Path = (*_RULES, index)
        for place, match in enumerate(rule.matches):
            here: Path = (*path, "matches", place)
            check_unique(
                (entry.name.lower() for entry in match.headers), (*here, "headers"), findings, "the header", "name"
            )
            if match.method is not None:
                _method(match.method, (*here, "method"), findings)
        check_filters(rule.filters, (*path, "filters"), findings)
        _backends(rule.backend_refs, path, findings)
        if rule.session_persistence is not None:
            check_session(rule.session_persistence, (*path, "sessionPersistence"), findings)


def check_tls_route(spec: TLSRouteSpec, meta: Meta, findings: Findings) -> None:
    check_parents(spec.parent_refs, _PARENTS, findings)
    for index, host in enumerate(spec.hostnames):
        if is_ip(host):
            message = f"`{host}` is an address, which no client sends as a server name"
            findings.bad_value("sni-address", ("spec", "hostnames", index), message)
    _connection_rules(spec.rules, findings)


def check_connection_route(spec: TCPRouteSpec | UDPRouteSpec, meta: Meta, findings: Findings) -> None:
    check_parents(spec.parent_refs, _PARENTS, findings)
    _connection_rules(spec.rules, findings)


def _connection_rules(rules: Iterable[ConnectionRule], findings: Findings) -> None:
    for index, rule in enumerate(rules):
        for place, backend in enumerate(rule.backend_refs):
            check_backend(backend, (*_RULES, index, "backendRefs", place), findings)


def _matches_in_all(counts: Sequence[int], findings: Findings) -> None:
    if sum(counts) > MAX_MATCHES:
        message = f"the rules have {sum(counts)} matches in all; at most {MAX_MATCHES} are allowed"
        findings.error("too-many", _RULES, message)


def _backends(backends: Sequence[HTTPBackendRef | GRPCBackendRef], path: Path, findings: Findings) -> None:
    for place, backend in enumerate(backends):
        here: Path = (*path, "backendRefs", place)
        check_backend(backend, here, findings)
        check_filters(backend.filters, (*here, "filters"), findings)


def _http_rule(rule: HTTPRouteRule, path: Path, findings: Findings) -> None:
    for place, match in enumerate(rule.matches):
        here: Path = (*path, "matches", place)
        _path_match(match.path, (*here, "path"), findings)
        check_unique(
            (entry.name.lower() for entry in match.headers), (*here, "headers"), findings, "the header", "name"
        )
        params = (entry.name for entry in match.query_params)
        check_unique(params, (*here, "queryParams"), findings, "the parameter", "name")
    check_filters(rule.filters, (*path, "filters"), findings)
    _backends(rule.backend_refs, path, findings)
    for index, entry in enumerate(rule.filters):
        if entry.request_redirect is not None and rule.backend_refs:
            message = "a rule that redirects has no backendRefs; remove one of them"
            findings.error("conflicting-actions", (*path, "filters", index), message)
    _prefix_modifiers(rule, path, findings)
    _timing(rule, path, findings)


def _prefix_modifiers(rule: HTTPRouteRule, path: Path, findings: Findings) -> None:
    """What replaces the matched prefix needs to know which that is."""
    one_prefix = len(rule.matches) == 1 and rule.matches[0].path.type is PathMatchType.PATH_PREFIX
    if one_prefix:
        return
    lists: list[tuple[Path, Sequence[HTTPRouteFilter | GRPCRouteFilter]]] = [((*path, "filters"), rule.filters)]
    for place, backend in enumerate(rule.backend_refs):
        lists.append(((*path, "backendRefs", place, "filters"), backend.filters))
    for here, filters in lists:
        for index, entry in enumerate(filters):
            for name, modifier in modifiers(entry):
                if modifier.type is HTTPPathModifierType.REPLACE_PREFIX_MATCH:
                    message = "replacePrefixMatch needs a rule with exactly one match, of the type PathPrefix"
                    findings.error("prefix-rewrite", (*here, index, name, "path"), message)


def modifiers(entry: HTTPRouteFilter | GRPCRouteFilter) -> Iterable[tuple[str, HTTPPathModifier]]:
    """The filter's changes of the path, each with the field that it stands in."""
    if not isinstance(entry, HTTPRouteFilter):
        return
    if entry.request_redirect is not None and entry.request_redirect.path is not None:
        yield "requestRedirect", entry.request_redirect.path
    if entry.url_rewrite is not None and entry.url_rewrite.path is not None:
        yield "urlRewrite", entry.url_rewrite.path


def _timing(rule: HTTPRouteRule, path: Path, findings: Findings) -> None:
    timeouts, retry = rule.timeouts, rule.retry
    if timeouts is not None and timeouts.request and (timeouts.backend_request or 0) > timeouts.request:
        message = "one try cannot take longer than the whole request; right is at most timeouts.request"
        findings.bad_value("bad-duration", (*path, "timeouts", "backendRequest"), message)
    if retry is not None:
        check_unique(retry.codes, (*path, "retry", "codes"), findings, "the code")
    if rule.session_persistence is not None:
        check_session(rule.session_persistence, (*path, "sessionPersistence"), findings)


def _path_match(match: HTTPPathMatch, path: Path, findings: Findings) -> None:
    if match.type is PathMatchType.REGULAR_EXPRESSION:
        return
    value, here = match.value, (*path, "value")
    if not value.startswith("/"):
        findings.bad_value("bad-value", here, f"`{value}` is not a path; it begins with `/`")
        return
    found = next((part for part in _FORBIDDEN if part in value), None)
    end = next((part for part in ("/..", "/.") if value.endswith(part)), None)
    if found is not None:
        findings.bad_value("bad-value", here, f"a path has no `{found}` in it")
    elif end is not None:
        findings.bad_value("bad-value", here, f"a path does not end in `{end}`")
    elif not _PATH.fullmatch(value):
        findings.bad_value("bad-value", here, "a path has letters, digits, -/._~!$&'()*+,;=:@ and %XX")


def _method(match: GRPCMethodMatch, path: Path, findings: Findings) -> None:
    if match.service is None and match.method is None:
        findings.error("empty-match", path, "the service, the method or both are needed here")
    if match.type is not MatchType.EXACT:
        return
    if match.service is not None and not _SERVICE.fullmatch(match.service):
        message = f"`{match.service}` is not a gRPC service's name; for an expression set the type RegularExpression"
        findings.bad_value("bad-name", (*path, "service"), message)
    if match.method is not None and not _METHOD.fullmatch(match.method):
        message = f"`{match.method}` is not a gRPC method's name; for an expression set the type RegularExpression"
        findings.bad_value("bad-name", (*path, "method"), message)


def check_session(session: SessionPersistence, path: Path, findings: Findings) -> None:
    """Both spellings: sessionName and cookieConfig (release 1.6), cookie and header (the main branch)."""
    lifetimes = [entry.lifetime_type for entry in (session.cookie_config, session.cookie) if entry is not None]
    if CookieLifetimeType.PERMANENT in lifetimes and session.absolute_timeout is None:
        message = "a Permanent cookie needs absoluteTimeout: how long it lives"
        findings.error("missing-field", (*path, "absoluteTimeout"), message)
    of_cookie = session.type is SessionPersistenceType.COOKIE
    older = session.session_name is not None or session.cookie_config is not None
    for name, value, fits in (
        ("cookieConfig", session.cookie_config, of_cookie),
        ("cookie", session.cookie, of_cookie),
        ("header", session.header, not of_cookie),
    ):
        if value is not None and not fits:
            findings.error("one-of", (*path, name), f"{name} does not belong to the type {session.type.value}")
        elif value is None and fits and not older and name != "cookieConfig":
            findings.error("missing-field", (*path, name), f"{name} is needed for the type {session.type.value}")
