"""Rules for string matches, header names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .. import regex
from ..commands import FormatError, parse
from ..meta import Path
from ..problems import Findings
from ..virtualservice import HeaderOperations, Headers, StringMatch
from .common import is_token

MAX_REGEX = 1024  # characters; Istio's limit for StringMatch.regex

_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_CLAIMS = "@request.auth.claims"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def check_regex(pattern: str, path: Path, findings: Findings) -> regex.Pattern | None:
    if len(pattern) > MAX_REGEX:
        findings.bad_value("bad-regex", path, f"the expression has {len(pattern)} characters, at most {MAX_REGEX} are")
        return None
    try:
        return regex.compile(pattern)
    except regex.RegexError as error:
        findings.bad_value("bad-regex", path, str(error))
        return None


def kinds_of(match: StringMatch) -> list[str]:
    """Which of exact, prefix and regex are set."""
    values = (("exact", match.exact), ("prefix", match.prefix), ("regex", match.regex))
    return [name for name, value in values if value is not None]


def check_match(
    match: StringMatch, path: Path, findings: Findings, *, empty_prefix: bool = False, presence: str = ""
) -> None:
    """One of exact, prefix and regex. `presence` allows `{}` ("any"), or `{}` and the regex `*` ("star")."""
    kinds = kinds_of(match)
    if len(kinds) > 1:
        findings.error("one-of", path, f"only one of {' and '.join(kinds)} can be set")
    elif not kinds and not presence:
        findings.error("empty-match", path, "one of exact, prefix and regex is needed here")
    if match.prefix == "" and not empty_prefix:
        findings.bad_value("empty-match", (*path, "prefix"), "an empty prefix matches all; leave the match out instead")
    if match.regex == "":
        findings.bad_value("bad-regex", (*path, "regex"), "an expression cannot be empty; `.*` matches all")
    elif match.regex is not None and not (match.regex == "*" and presence == "star"):
        check_regex(match.regex, (*path, "regex"), findings)


def check_header_matches(
    matches: Mapping[str, StringMatch], path: Path, findings: Findings, *, gateway: bool, without: bool
) -> None:
    for name, match in matches.items():
        here = (*path, name)
        if name.startswith(_CLAIMS):
            if not gateway:
                message = "JWT claims are known at gateways only; bind the VirtualService to a gateway and not to mesh"
                findings.error("claim-in-mesh", here, message)
        elif name.startswith(":") and name in _PSEUDO:
            pass
        elif not is_token(name):
            findings.error("bad-header", here, f"`{name}` is not a header's name")
        check_match(match, here, findings, presence="star" if without else "any")


def check_headers(headers: Headers | None, path: Path, findings: Findings) -> None:
    if headers is None:
        return
    _operations(headers.request, (*path, "request"), findings, request=True)
    _operations(headers.response, (*path, "response"), findings, request=False)


def _operations(operations: HeaderOperations | None, path: Path, findings: Findings, *, request: bool) -> None:
    if operations is None:
        return
    for verb, values in (("set", operations.set), ("add", operations.add)):
        for name, value in values.items():
            _operation_name(name, (*path, verb, name), findings, authority=request)
            _value(value, (*path, verb, name), findings)
    for index, name in enumerate(operations.remove):
        _operation_name(name, (*path, "remove", index), findings, authority=False)


def _operation_name(name: str, path: Path, findings: Findings, *, authority: bool) -> None:
    folded = name.lower()
    if folded == "host" or folded == ":authority":
        if not authority:
            findings.error("bad-header", path, f"`{name}` can only be set on requests; it cannot be changed here")
    elif folded.startswith(":"):
        findings.error("bad-header", path, f"the pseudo header `{name}` cannot be changed; only :authority can be set")
    elif not is_token(name):
        findings.error("bad-header", path, f"`{name}` is not a header's name")


def _value(value: str, path: Path, findings: Findings) -> None:
    """A header value in Envoy's format strings: `%%` is a percent sign, `%VARIABLE%` a variable."""
    if _CONTROL.search(value):
        findings.bad_value("bad-header", path, "a header's value cannot hold control characters")
    if "%" in value:
        try:
            parse(value)
        except FormatError as error:
            findings.bad_value("bad-header", path, str(error))


def writes_authority(headers: Headers | None) -> list[Path]:
    """Where a route's header operations set the request's authority."""
    found: list[Path] = []
    if headers is not None and headers.request is not None:
        for verb, values in (("set", headers.request.set), ("add", headers.request.add)):
            found += [("request", verb, name) for name in values if name.lower() in ("host", ":authority")]
    return found
