"""Rules of VirtualService's HTTP routes (Istio's validateHTTPRoute)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import regex
from ..meta import Path
from ..problems import Findings
from ..virtualservice import (
    Destination,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
)
from .common import (
    check_duration,
    check_host,
    check_labels,
    check_port,
    check_range,
    check_subset,
    is_label,
)
from .httppolicy import check_cors, check_fault, check_retries
from .strings import check_header_matches, check_headers, check_match, kinds_of, writes_authority

MAX_BODY = 1024 * 1024
LARGE_BODY = 100 * 1024

REDIRECT_CODES = (301, 302, 303, 307, 308)


def check_http_route(route: HTTPRoute, path: Path, findings: Findings, *, delegate: bool, gateway: bool) -> None:
    """One rule; `delegate` says that it stands in a VirtualService without hosts, `gateway` that no sidecar sees it."""
    _actions(route, path, findings, delegate=delegate)
    for index, match in enumerate(route.match):
        _match(match, (*path, "match", index), findings, gateway=gateway)
    for index, destination in enumerate(route.route):
        _http_destination(destination, (*path, "route", index), findings)
    check_weights(route.route, (*path, "route"), findings)
    check_duration(route.timeout, (*path, "timeout"), findings)
    check_headers(route.headers, (*path, "headers"), findings)
    _authorities(route, path, findings)
    _mirrors(route, path, findings)
    if route.redirect is not None:
        _redirect(route.redirect, route, (*path, "redirect"), findings)
    if route.direct_response is not None:
        _direct_response(route.direct_response, (*path, "directResponse"), findings)
    if route.rewrite is not None:
        _rewrite(route.rewrite, (*path, "rewrite"), findings)
    if route.retries is not None:
        check_retries(route.retries, (*path, "retries"), findings)
    if route.fault is not None:
        check_fault(route.fault, (*path, "fault"), findings)
    if route.cors_policy is not None:
        check_cors(route.cors_policy, (*path, "corsPolicy"), findings)


def _actions(route: HTTPRoute, path: Path, findings: Findings, *, delegate: bool) -> None:
    """One of route, redirect, directResponse and delegate, and nothing beside it that it cannot have."""
    set_fields = {
        name: value
        for name, value in (
            ("route", route.route or None),
            ("redirect", route.redirect),
            ("directResponse", route.direct_response),
            ("delegate", route.delegate),
            ("fault", route.fault),
            ("rewrite", route.rewrite),
        )
        if value is not None
    }
    actions = [name for name in ("delegate", "redirect", "directResponse", "route") if name in set_fields]
    if not actions:
        findings.error("no-action", path, "the rule does nothing; it needs route, redirect, directResponse or delegate")
        return
    excluded = {
        "delegate": ("route", "redirect", "directResponse"),
        "redirect": ("route", "directResponse", "fault", "rewrite"),
        "directResponse": ("route", "fault", "rewrite"),
        "route": (),
    }[actions[0]]
    for name in excluded:
        if name in set_fields:
            findings.error("conflicting-actions", (*path, name), f"{name} cannot stand beside {actions[0]}; remove one")
    if route.delegate is not None and delegate:
        message = "a VirtualService without hosts is a delegate, and a delegate cannot delegate again"
        findings.error("nested-delegate", (*path, "delegate"), message)
    if route.delegate is not None and not route.delegate.name:
        findings.error("missing-field", (*path, "delegate", "name"), "the delegate's name is required")


def _match(match: HTTPMatchRequest, path: Path, findings: Findings, *, gateway: bool) -> None:
    if match.uri is not None:
        check_match(match.uri, (*path, "uri"), findings, empty_prefix=True)
    for name, value in (("scheme", match.scheme), ("method", match.method), ("authority", match.authority)):
        if value is not None:
            check_match(value, (*path, name), findings)
    check_header_matches(match.headers, (*path, "headers"), findings, gateway=gateway, without=False)
    check_header_matches(match.without_headers, (*path, "withoutHeaders"), findings, gateway=gateway, without=True)
    for name, value in match.query_params.items():
        check_match(value, (*path, "queryParams", name), findings, presence="star")
    if match.port is not None:
        check_port(match.port, (*path, "port"), findings)
    check_labels(match.source_labels, (*path, "sourceLabels"), findings)
    check_gateway_names(match.gateways, (*path, "gateways"), findings)
    check_source_namespace(match.source_namespace, (*path, "sourceNamespace"), findings)


def check_source_namespace(name: str | None, path: Path, findings: Findings) -> None:
    if name and not is_label(name):
        findings.bad_value("bad-name", path, f"`{name}` is not a namespace")


def check_gateway_names(names: tuple[str, ...], path: Path, findings: Findings) -> None:
    """`mesh`, `gateway`, `namespace/gateway` or the older host form."""
    for index, name in enumerate(names):
        namespace, slash, gateway = name.rpartition("/")
        if slash:
            good = is_label(gateway.replace(".", "-")) and (namespace == "." or is_label(namespace))
        else:
            good = all(is_label(label) for label in name.split("."))
        if not good:
            message = f"`{name}` is not a gateway; right is name, namespace/name or mesh"
            findings.bad_value("bad-gateway", (*path, index), message)


def _http_destination(destination: HTTPRouteDestination, path: Path, findings: Findings) -> None:
    check_destination(destination.destination, (*path, "destination"), findings)
    check_headers(destination.headers, (*path, "headers"), findings)


def check_destination(destination: Destination | None, path: Path, findings: Findings) -> None:
    if destination is None:
        findings.error("missing-field", path, "a destination is required, at least its host")
        return
    if not destination.host:
        findings.error("missing-field", (*path, "host"), "the destination's host is required")
    elif destination.host == "*":
        findings.bad_value("bad-host", (*path, "host"), "a destination's host names one service; `*` is none")
    else:
        check_host(destination.host, (*path, "host"), findings)
    check_subset(destination.subset or None, (*path, "subset"), findings)
    if destination.port is not None:
        check_port(destination.port.number, (*path, "port", "number"), findings)


def check_weights(routes: Sequence[HTTPRouteDestination | RouteDestination], path: Path, findings: Findings) -> None:
    """Each weight is 0 or more; of several, one at least is more."""
    total = 0
    for index, route in enumerate(routes):
        weight = route.weight or 0
        if weight < 0:
            message = f"the weight {weight} is negative; right is 0 or more"
            findings.bad_value("bad-weight", (*path, index, "weight"), message)
        total += weight
    if len(routes) > 1 and total == 0:
        findings.error("bad-weight", path, "of several destinations at least one needs a weight above 0")


def _authorities(route: HTTPRoute, path: Path, findings: Findings) -> None:
    writers: list[Path] = []
    if route.rewrite is not None and route.rewrite.authority:
        writers.append(("rewrite", "authority"))
    writers += [("headers", *writer) for writer in writes_authority(route.headers)]
    if len(writers) > 1:
        first = ".".join(str(part) for part in writers[0])
        findings.error("authority-twice", (*path, *writers[1]), f"the authority is already rewritten by {first}")


def _mirrors(route: HTTPRoute, path: Path, findings: Findings) -> None:
    if route.mirror is not None:
        check_destination(route.mirror, (*path, "mirror"), findings)
        if route.mirrors:
            findings.error("one-of", (*path, "mirror"), "mirror and mirrors exclude each other; use mirrors")
    if route.mirror_percent is not None:
        check_range(route.mirror_percent, 0, 100, (*path, "mirrorPercent"), findings)
    if route.mirror_percentage is not None:
        check_range(route.mirror_percentage.value, 0, 100, (*path, "mirrorPercentage", "value"), findings)
    for index, mirror in enumerate(route.mirrors):
        check_destination(mirror.destination, (*path, "mirrors", index, "destination"), findings)
        if mirror.percentage is not None:
            here = (*path, "mirrors", index, "percentage", "value")
            check_range(mirror.percentage.value, 0, 100, here, findings)


def _redirect(redirect: HTTPRedirect, route: HTTPRoute, path: Path, findings: Findings) -> None:
    if redirect.uri and redirect.prefix_rewrite:
        findings.error("one-of", (*path, "prefixRewrite"), "only one of uri and prefixRewrite can be set")
    if redirect.port is not None and redirect.derive_port is not None:
        findings.error("one-of", (*path, "derivePort"), "only one of port and derivePort can be set")
    changes = (redirect.uri, redirect.prefix_rewrite, redirect.authority, redirect.port, redirect.scheme)
    if not any(changes) and redirect.derive_port is None:
        message = "the redirect changes nothing; set uri, prefixRewrite, authority, port, derivePort or scheme"
        findings.error("empty-redirect", path, message)
    if redirect.prefix_rewrite:
        for match in route.match:
            if match.uri is not None and kinds_of(match.uri) != ["prefix"]:
                message = "prefixRewrite replaces a matched prefix, so every uri match of the rule has to be a prefix"
                findings.error("prefix-rewrite", (*path, "prefixRewrite"), message)
                break
    if redirect.port is not None:
        check_port(redirect.port, (*path, "port"), findings)
    if redirect.scheme is not None and redirect.scheme not in ("", "http", "https"):
        message = f"`{redirect.scheme}` is not a scheme here; right is http or https"
        findings.bad_value("bad-scheme", (*path, "scheme"), message)
    code = redirect.redirect_code
    if code and not 300 <= code <= 399:
        findings.bad_value("bad-status", (*path, "redirectCode"), f"{code} is not a redirect; right is 301 to 308")
    elif code and code not in REDIRECT_CODES:
        message = f"no redirect is sent with {code}; right is {', '.join(map(str, REDIRECT_CODES))}"
        findings.warning("unused-status", (*path, "redirectCode"), message)


def _direct_response(response: HTTPDirectResponse, path: Path, findings: Findings) -> None:
    if response.status is None:
        findings.error("missing-field", (*path, "status"), "the response's status is required")
    elif not 200 <= response.status <= 600:
        message = f"{response.status} is not a status here; right is 200 to 600"
        findings.bad_value("bad-status", (*path, "status"), message)
    body = response.body
    if body is None:
        return
    if body.string is not None and body.bytes is not None:
        findings.error("one-of", (*path, "body"), "only one of string and bytes can be set")
    size = len(body.string.encode()) if body.string is not None else len(body.bytes or b"")
    if size > MAX_BODY:
        findings.error("body-too-large", (*path, "body"), f"the body has {size} bytes, at most {MAX_BODY} are allowed")
    elif size > LARGE_BODY:
        findings.warning("body-large", (*path, "body"), f"the body has {size} bytes; every worker holds it")


def _rewrite(rewrite: HTTPRewrite, path: Path, findings: Findings) -> None:
    if rewrite.uri and rewrite.uri_regex_rewrite is not None:
        findings.error("one-of", (*path, "uriRegexRewrite"), "only one of uri and uriRegexRewrite can be set")
    if not rewrite.uri and not rewrite.authority and rewrite.uri_regex_rewrite is None:
        findings.error("empty-rewrite", path, "the rewrite changes nothing; set uri, uriRegexRewrite or authority")
    expression = rewrite.uri_regex_rewrite
    if expression is None:
        return
    here = (*path, "uriRegexRewrite")
    for name, value in (("match", expression.match), ("rewrite", expression.rewrite)):
        if not value:
            findings.error("missing-field", (*here, name), f"uriRegexRewrite needs {name}")
    try:
        pattern = regex.compile(expression.match or "")
    except regex.RegexError as error:
        findings.bad_value("bad-regex", (*here, "match"), str(error))
        return
    try:
        regex.template((expression.rewrite or "").encode(), pattern.groups)
    except regex.RegexError as error:
        findings.bad_value("bad-regex", (*here, "rewrite"), str(error))
