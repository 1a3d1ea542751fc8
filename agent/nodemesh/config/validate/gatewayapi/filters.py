"""Rules of filters: the field of their type and no other, which of them may repeat, and what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...decode import type_of
from ...gatewayapi.filters import (
    GRPCRouteFilter,
    HTTPCORSFilter,
    HTTPExternalAuthFilter,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPPathModifierType,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
)
from ...meta import Path
from ...problems import Findings
from .common import check_backend, check_unique

#: Types that stand once in a list at most.
ONCE = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS", "ExternalAuth")
STATUS_CODES = (301, 302, 303, 307, 308)

Filter = HTTPRouteFilter | GRPCRouteFilter


def field_of(kind: str) -> str:
    """The JSON name of the field that belongs to a filter's type."""
    return {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(kind, kind[:1].lower() + kind[1:])


def check_filters(filters: Sequence[Filter], path: Path, findings: Findings) -> None:
    counted = Counter(entry.type.value for entry in filters)
    for index, entry in enumerate(filters):
        here: Path = (*path, index)
        kind = entry.type.value
        if kind in ONCE and counted[kind] > 1:
            findings.bad_value("duplicate-name", (*here, "type"), f"{kind} may stand here once; merge them")
        if kind == "URLRewrite" and counted["RequestRedirect"]:
            message = "URLRewrite and RequestRedirect exclude each other; a redirect has its own hostname and path"
            findings.bad_value("one-of", (*here, "type"), message)
        check_filter(entry, here, findings)


def check_filter(entry: Filter, path: Path, findings: Findings) -> None:
    own = field_of(entry.type.value)
    for field in type_of(type(entry)).fields:
        if field.encode_name == "type":
            continue
        value = getattr(entry, field.name)
        if value is None and field.encode_name == own:
            findings.error("missing-field", (*path, own), f"{own} is needed for the type {entry.type.value}")
        elif value is not None and field.encode_name != own:
            message = f"{field.encode_name} does not belong to the type {entry.type.value}; {own} does"
            findings.error("one-of", (*path, field.encode_name), message)
    for operations, name in (
        (entry.request_header_modifier, "requestHeaderModifier"),
        (entry.response_header_modifier, "responseHeaderModifier"),
    ):
        if operations is not None:
            _headers(operations, (*path, name), findings)
    if entry.request_mirror is not None:
        _mirror(entry.request_mirror, (*path, "requestMirror"), findings)
    if isinstance(entry, HTTPRouteFilter):
        _http(entry, path, findings)


def _http(entry: HTTPRouteFilter, path: Path, findings: Findings) -> None:
    if entry.request_redirect is not None:
        _redirect(entry.request_redirect, (*path, "requestRedirect"), findings)
    if entry.url_rewrite is not None and entry.url_rewrite.path is not None:
        _modifier(entry.url_rewrite.path, (*path, "urlRewrite", "path"), findings)
    if entry.cors is not None:
        _cors(entry.cors, (*path, "cors"), findings)
    if entry.external_auth is not None:
        _external_auth(entry.external_auth, (*path, "externalAuth"), findings)


def _headers(operations: HTTPHeaderFilter, path: Path, findings: Findings) -> None:
    for name, headers in (("set", operations.set), ("add", operations.add)):
        check_unique((header.name for header in headers), (*path, name), findings, "the header", "name")
    check_unique(operations.remove, (*path, "remove"), findings, "the header")


def _mirror(mirror: HTTPRequestMirrorFilter, path: Path, findings: Findings) -> None:
    check_backend(mirror.backend_ref, (*path, "backendRef"), findings)
    fraction = mirror.fraction
    if mirror.percent is not None and fraction is not None:
        findings.error("one-of", (*path, "fraction"), "only one of percent and fraction can be set")
    if fraction is not None and fraction.numerator > fraction.denominator:
        message = f"{fraction.numerator} of {fraction.denominator} is more than all"
        findings.bad_value("out-of-range", (*path, "fraction", "numerator"), message)


def _redirect(redirect: HTTPRequestRedirectFilter, path: Path, findings: Findings) -> None:
    if redirect.status_code not in STATUS_CODES:
        right = ", ".join(map(str, STATUS_CODES))
        findings.bad_value(
            "bad-status", (*path, "statusCode"), f"{redirect.status_code} redirects nobody; right: {right}"
        )
    if redirect.path is not None:
        _modifier(redirect.path, (*path, "path"), findings)


def _modifier(modifier: HTTPPathModifier, path: Path, findings: Findings) -> None:
    for kind, name, value in (
        (HTTPPathModifierType.REPLACE_FULL_PATH, "replaceFullPath", modifier.replace_full_path),
        (HTTPPathModifierType.REPLACE_PREFIX_MATCH, "replacePrefixMatch", modifier.replace_prefix_match),
    ):
        if modifier.type is kind and value is None:
            findings.error("missing-field", (*path, name), f"{name} is needed for the type {kind.value}")
        elif modifier.type is not kind and value is not None:
            findings.error("one-of", (*path, name), f"{name} does not belong to the type {modifier.type.value}")


def _cors(cors: HTTPCORSFilter, path: Path, findings: Findings) -> None:
    for name, values in (
        ("allowOrigins", cors.allow_origins),
        ("allowMethods", tuple(method.value for method in cors.allow_methods)),
        ("allowHeaders", cors.allow_headers),
    ):
        check_unique(values, (*path, name), findings, "the entry")
        if "*" in values and len(values) > 1:
            message = f"`*` stands for all of {name} and cannot stand beside others"
            findings.bad_value("one-of", (*path, name, values.index("*")), message)
    check_unique(cors.expose_headers, (*path, "exposeHeaders"), findings, "the entry")


def _external_auth(auth: HTTPExternalAuthFilter, path: Path, findings: Findings) -> None:
    check_backend(auth.backend_ref, (*path, "backendRef"), findings)
    for protocol, name, value in (("GRPC", "grpc", auth.grpc), ("HTTP", "http", auth.http)):
        if auth.protocol == protocol and value is None:
            findings.error("missing-field", (*path, name), f"{name} is needed for the protocol {protocol}")
        elif auth.protocol != protocol and value is not None:
            findings.error("one-of", (*path, name), f"{name} does not belong to the protocol {auth.protocol.value}")
