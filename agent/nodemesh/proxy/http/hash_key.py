"""The key of consistent hashing: taken from a request as the policy says; where its cookie is missing, one is made."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ...balance.hashing import cookie_value, hash_header, hash_key
from ...routing.decision import HashPolicy
from ...routing.match import query_value
from ...routing.request import Request
from ...telemetry.record import RequestRecord
from ..addresses import host_of

#: Values of a field that are hashed in whatever order they come; what is behind them is one more.
MAX_VALUES: Final = 100


class HashKey:
    """`value` is None where the request has nothing to hash (any host will do); `cookie` is the value of the
    Set-Cookie that the response gets, if any."""

    __slots__ = ("value", "cookie")

    def __init__(self, policy: HashPolicy, request: Request, record: RequestRecord) -> None:
        self.value: int | None = None
        self.cookie = b""
        if policy.header:
            value = request.authority if policy.header == b"host" else request.headers.get(policy.header)
            if value is not None:
                self.value = hash_header(value.split(b",", MAX_VALUES))
        elif policy.cookie:
            self._take_cookie(policy, request, record)
        elif policy.query:
            query = query_value(request.query, policy.query)
            self.value = hash_key(query) if query is not None else None
        elif policy.source_ip:
            self.value = hash_key(host_of(record.downstream_remote).encode())

    def _take_cookie(self, policy: HashPolicy, request: Request, record: RequestRecord) -> None:
        value = cookie_of(request.headers.get(b"cookie", b""), policy.cookie)
        if value is None and policy.cookie_ttl is not None:
            value = cookie_value(record.downstream_remote.encode(), record.downstream_local.encode())
            self.cookie = set_cookie(policy, value)
        self.value = hash_key(value) if value is not None else None


def cookie_of(header: bytes, name: bytes) -> bytes | None:
    """A cookie's value (RFC 6265 section 4.2), None if it is not there."""
    found = cookie_pattern(name).search(header)
    return found[1].strip(b" \t").strip(b'"') if found is not None else None


@lru_cache(1024)
def cookie_pattern(name: bytes) -> re.Pattern[bytes]:
    """Finds a cookie's value: a search of the whole, since a header may have thousands of them."""
    return re.compile(rb"(?:^|[;,])[ \t]*" + re.escape(name) + rb"=([^;,]*)")


def set_cookie(policy: HashPolicy, value: bytes) -> bytes:
    """As Envoy writes it: a ttl of zero makes a session cookie."""
    parts = [policy.cookie + b'="' + value + b'"']
    if policy.cookie_ttl:
        parts.append(b"Max-Age=%d" % int(policy.cookie_ttl))
    if policy.cookie_path:
        parts.append(b"Path=" + policy.cookie_path)
    for attribute in policy.cookie_attributes:
        text = f"{attribute.name}={attribute.value}" if attribute.value else attribute.name
        parts.append(text.encode())
    parts.append(b"HttpOnly")
    return b"; ".join(parts)
