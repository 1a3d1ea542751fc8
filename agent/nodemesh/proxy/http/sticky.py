"""A session stays with its endpoint (GEP-1619): a cookie or a field that the client brings back names it.

The token is no secret and no right: whoever makes one up reaches an endpoint that the route leads to anyway."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from ...balance.host import Host
from ...routing.decision import StickySession, WeightedCluster
from .hash_key import cookie_of

#: The longest token that is looked at.
MAX_TOKEN: Final = 256


class Sticky:
    """One request's session. `wanted` is the endpoint's address and port; None: any will do."""

    __slots__ = ("wanted", "_session", "_now")

    def __init__(self, session: StickySession, headers: dict[bytes, bytes], now: float) -> None:
        self._session = session
        self._now = now
        if session.cookie:
            token = cookie_of(headers.get(b"cookie", b""), session.cookie)
        else:
            token = headers.get(session.header)
        self.wanted = self._read(token) if token and len(token) <= MAX_TOKEN else None

    def _read(self, token: bytes) -> tuple[str, int] | None:
        """The endpoint that a token names, unless its time is over."""
        try:
            text = urlsafe_b64decode(token + b"=" * (-len(token) % 4)).decode("ascii")
        except (binascii.Error, ValueError):
            return None
        place, _, began = text.rpartition("@")
        address, _, port = place.rpartition(":")
        if not port.isdigit() or not began.isdigit() or len(port) > 5 or len(began) > 12:
            return None
        limit = self._session.limit
        if limit and not 0.0 <= self._now - int(began) <= limit:
            return None
        return address, int(port)

    def destination(self, destinations: tuple[WeightedCluster, ...]) -> WeightedCluster | None:
        """The destination that the wanted endpoint belongs to, whatever its weight's turn."""
        wanted = self.wanted
        if wanted is None:
            return None
        for destination in destinations:
            cluster = destination.cluster
            if cluster is not None and any((one.address, one.port) == wanted for one in cluster.endpoints):
                return destination
        self.wanted = None
        return None

    def told(self, host: Host) -> tuple[bytes, bytes] | None:
        """Name and line of the field by which the client learns of another endpoint; None where it knows."""
        if self.wanted == (host.address, host.port):
            return None
        session = self._session
        text = f"{host.address}:{host.port}@{int(self._now)}"
        token = urlsafe_b64encode(text.encode()).rstrip(b"=")
        if not session.cookie:
            return session.header, session.header + b": " + token
        parts = [session.cookie + b"=" + token, b"Path=" + session.path]
        if session.permanent and session.limit:
            parts.append(b"Max-Age=%d" % int(session.limit))
        parts.append(b"HttpOnly")
        return b"set-cookie", b"set-cookie: " + b"; ".join(parts)
