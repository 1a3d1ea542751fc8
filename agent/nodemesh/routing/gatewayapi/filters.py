"""Filters of the Gateway API as parts of decisions: header changes, redirects, rewrites, CORS, mirrors, retries."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from ...config.gatewayapi.filters import (
    HTTPCORSFilter,
    HTTPHeader,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPPathModifierType,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
)
from ...config.gatewayapi.policies import CookieLifetimeType, SessionPersistence, SessionPersistenceType
from ...config.gatewayapi.routes import HTTPRouteMatch, HTTPRouteRule, PathMatchType
from ...config.meshconfig import MeshConfigSpec
from ...reasons import Reason
from ..clusters import seconds
from ..decision import Cors, HeaderOp, HeaderOps, Redirect, Retry, Rewrite, Rule, StickySession
from ..headers import AUTHORITY_NAMES, FRAMING_NAMES
from ..policies import retry_of

#: What a retry stanza retries besides its codes: whatever fails before an answer (GEP-1731).
CONNECTION_ERRORS = ("connect-failure", "reset", "refused-stream")
#: Where the stanza does not say how often.
DEFAULT_ATTEMPTS = 2
DEFAULT_BACKOFF = 0.025


class PrefixReplacement:
    """The matched prefix, a whole number of segments, replaced by another one."""

    __slots__ = ("_length", "_new", "_stem")

    def __init__(self, prefix: str, replacement: str) -> None:
        self._length = len(prefix.rstrip("/").encode())
        self._new = replacement.encode()
        self._stem = self._new.rstrip(b"/")

    def __str__(self) -> str:
        return f"its first {self._length} bytes by {self._new.decode()}"

    def __call__(self, path: bytes) -> bytes:
        rest = path[self._length :]
        return (self._stem + rest if rest else self._new) or b"/"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrefixReplacement) and (self._length, self._new) == (other._length, other._new)

    def __hash__(self) -> int:
        return hash((self._length, self._new))


class OriginPatterns:
    """Which origins a CORS filter allows; a `*` in a host stands for labels to its left."""

    __slots__ = ("_any", "_patterns", "_plain", "patterns")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.patterns = patterns
        self._any = "*" in patterns
        self._plain = frozenset(pattern.lower().encode() for pattern in patterns if "*" not in pattern)
        self._patterns = tuple(
            re.compile(re.escape(pattern.lower().encode()).replace(rb"\*", rb"[a-z0-9.\-]+"))
            for pattern in patterns
            if "*" in pattern and pattern != "*"
        )

    def __str__(self) -> str:
        return " or ".join(self.patterns)

    def __call__(self, origin: bytes) -> bool:
        folded = origin.lower()
        if self._any or folded in self._plain:
            return True
        return any(pattern.fullmatch(folded) is not None for pattern in self._patterns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OriginPatterns) and self.patterns == other.patterns

    def __hash__(self) -> int:
        return hash(self.patterns)


def header_changes(changes: HTTPHeaderFilter | None) -> HeaderOps | None:
    """Values are literal."""
    if changes is None:
        return None
    return HeaderOps(
        remove=tuple(sorted({name.lower().encode() for name in changes.remove})),
        set=tuple(ops_of(changes.set)),
        add=tuple(ops_of(changes.add)),
    )


def ops_of(headers: Iterable[HTTPHeader]) -> Iterable[HeaderOp]:
    for header in headers:
        if header.name.lower() not in (*AUTHORITY_NAMES, *FRAMING_NAMES):
            yield HeaderOp(name=header.name.lower().encode(), value=header.value.encode())


def host_set(changes: HTTPHeaderFilter | None) -> bytes:
    """The Host that request changes write."""
    if changes is None:
        return b""
    headers = (*changes.set, *changes.add)
    return next((header.value.encode() for header in headers if header.name.lower() in AUTHORITY_NAMES), b"")


def find(filters: Sequence[HTTPRouteFilter], field: str) -> HTTPRouteFilter | None:
    """The filter that has this field."""
    return next((entry for entry in filters if getattr(entry, field) is not None), None)


def replacement(modifier: HTTPPathModifier, match: HTTPRouteMatch) -> PrefixReplacement | None:
    if modifier.type is HTTPPathModifierType.REPLACE_PREFIX_MATCH:
        prefix = match.path.value if match.path.type is PathMatchType.PATH_PREFIX else "/"
        return PrefixReplacement(prefix, modifier.replace_prefix_match or "")
    return None


def full_path(modifier: HTTPPathModifier | None) -> bytes | None:
    if modifier is None or modifier.type is not HTTPPathModifierType.REPLACE_FULL_PATH:
        return None
    return (modifier.replace_full_path or "/").encode()


def rewrite_of(filters: Sequence[HTTPRouteFilter], match: HTTPRouteMatch) -> Rewrite | None:
    found = find(filters, "url_rewrite")
    rewrite = found.url_rewrite if found is not None else None
    changes = find(filters, "request_header_modifier")
    authority = host_set(changes.request_header_modifier if changes is not None else None)
    if rewrite is None:
        return Rewrite(authority=authority) if authority else None
    return Rewrite(
        uri=full_path(rewrite.path),
        substitute=replacement(rewrite.path, match) if rewrite.path is not None else None,
        authority=(rewrite.hostname or "").encode() or authority,
    )


def redirect_of(
    redirect: HTTPRequestRedirectFilter, match: HTTPRouteMatch, name: str, rule: Rule, response: HeaderOps | None
) -> Redirect:
    return Redirect(
        name=name,
        rule=rule,
        reason=Reason.REDIRECT,
        response_headers=response,
        status=redirect.status_code,
        scheme=(redirect.scheme or "").encode(),
        authority=(redirect.hostname or "").encode(),
        port=redirect.port or 0,
        listener_port=True,
        uri=full_path(redirect.path),
        substitute=replacement(redirect.path, match) if redirect.path is not None else None,
    )


def cors_of(cors: HTTPCORSFilter) -> Cors:
    return Cors(
        allow_origin=OriginPatterns(cors.allow_origins),
        methods=", ".join(method.value for method in cors.allow_methods).encode(),
        headers=", ".join(cors.allow_headers).encode(),
        expose=", ".join(cors.expose_headers).encode(),
        max_age=str(cors.max_age).encode(),
        credentials=bool(cors.allow_credentials),
        forward_unmatched=False,
    )


def percent_of(mirror: HTTPRequestMirrorFilter) -> float:
    if mirror.percent is not None:
        return float(mirror.percent)
    if mirror.fraction is not None:
        return 100.0 * mirror.fraction.numerator / mirror.fraction.denominator
    return 100.0


def session_of(rule: HTTPRouteRule, place: str) -> StickySession | None:
    wish = rule.session_persistence
    return sticky_session(wish, place) if wish is not None else None


def sticky_session(wish: SessionPersistence, place: str) -> StickySession:
    """Both spellings; without a name of its own a session is known by the place where it is asked for."""
    limit = seconds(wish.absolute_timeout)
    name = wish.session_name or f"nodemesh-{hashlib.sha256(place.encode()).hexdigest()[:8]}"
    if wish.type is SessionPersistenceType.HEADER:
        header = wish.header.name if wish.header is not None else name
        return StickySession(header=header.lower().encode(), limit=limit)
    lifetimes = [one.lifetime_type for one in (wish.cookie, wish.cookie_config) if one is not None]
    return StickySession(
        cookie=(wish.cookie.name if wish.cookie is not None else name).encode(),
        path=(wish.cookie.path if wish.cookie is not None else "/").encode(),
        limit=limit,
        permanent=CookieLifetimeType.PERMANENT in lifetimes,
    )


def retries_of(rule: HTTPRouteRule, mesh: MeshConfigSpec, *, hashed: bool) -> Retry | None:
    """A rule without a stanza has the mesh's default; its limit for one try holds either way."""
    per_try = seconds(rule.timeouts.backend_request) if rule.timeouts is not None else 0.0
    stanza = rule.retry
    if stanza is None:
        default = retry_of(None, mesh, hashed=hashed)
        if not per_try:
            return default
        base = default if default is not None else Retry(attempts=0)
        return Retry(
            attempts=base.attempts,
            per_try_timeout=per_try,
            on=base.on,
            status_codes=base.status_codes,
            ignore_previous_hosts=base.ignore_previous_hosts,
        )
    backoff = seconds(stanza.backoff) or DEFAULT_BACKOFF
    return Retry(
        attempts=stanza.attempts or DEFAULT_ATTEMPTS,
        per_try_timeout=per_try,
        on=frozenset((*CONNECTION_ERRORS, "retriable-status-codes")),
        status_codes=frozenset(stanza.codes),
        backoff_base=backoff,
        backoff_max=backoff * 10,
        backoff_min=backoff if stanza.backoff else 0.0,
        ignore_previous_hosts=not hashed,
    )
