"""A request's fields as rules see them: the one reading that every codec and `explain` share."""

from __future__ import annotations

from typing import Final

#: The values of fields that came several times, by name.
Repeated = dict[bytes, tuple[bytes, ...]]

NO_REPEATED: Final[Repeated] = {}

#: Meant for the next hop alone: no rule sees them (RFC 9110 section 7.6.1, and what predates it).
HOP_NAMES: Final = frozenset(
    {b"keep-alive", b"proxy-connection", b"transfer-encoding", b"http2-settings", b"connection", b"upgrade", b"te"}
)

#: What the proxy alone says to an upstream: a client's word of it counts for nothing.
WRITTEN: Final = frozenset(
    {
        b"x-envoy-attempt-count",
        b"x-envoy-expected-rq-timeout-ms",
        b"x-envoy-original-path",
        b"x-envoy-upstream-service-time",
    }
)

#: Options of Connection that name no other field.
OPTIONS: Final = frozenset({b"close", b"keep-alive", b"upgrade", b""})

#: A change to HTTP/2 that no proxy makes: as in Envoy the request is served as if it did not ask (RFC 9110 section 7.8
#: allows that; RFC 9113 has dropped it).
IGNORED_UPGRADE: Final = b"h2c"


def gather(headers: dict[bytes, bytes], repeated: Repeated, name: bytes, value: bytes) -> Repeated:
    """Take one more field into `headers`, where several values of a name are joined by `,`. Returns what has come more
    than once so far: `repeated`, or one of its own in place of the empty one that all share."""
    before = headers.get(name)
    if before is None:
        headers[name] = value
        return repeated
    headers[name] = before + b"," + value
    found = repeated if repeated else {}
    found[name] = (*found.get(name, (before,)), value)
    return found


def members(value: bytes) -> tuple[bytes, ...]:
    """The members, in lower case, of a field whose value is a list of tokens."""
    return tuple(token.strip(b" \t") for token in value.lower().split(b","))


def asked_upgrade(value: bytes, options: tuple[bytes, ...]) -> bytes:
    """The protocol that a request asks to change to, with what Connection says beside it; empty: none."""
    return value if b"upgrade" in options and value.lower() != IGNORED_UPGRADE else b""


def leave_hop(headers: dict[bytes, bytes], repeated: Repeated, upgrade: bytes) -> None:
    """Leave of the fields for one hop what Envoy's rules see: Upgrade and Connection where the request asks for
    `upgrade`, `te: trailers`; nothing that Connection names."""
    named = set(members(headers.get(b"connection", b""))) - OPTIONS
    trailers = b"trailers" in members(headers.get(b"te", b""))
    kept = {b"connection", b"upgrade"} if upgrade else set()
    for name in (named | HOP_NAMES) - kept:
        headers.pop(name, None)
        repeated.pop(name, None)
    if trailers:
        headers[b"te"] = b"trailers"


def said_scheme(headers: dict[bytes, bytes], scheme: bytes) -> bytes:
    """A request's scheme: x-forwarded-proto's where the client may say it, else the connection's."""
    said = headers.get(b"x-forwarded-proto")
    if said is None:
        return scheme
    said = said.lower()
    return said if said in (b"http", b"https") else scheme
