"""A request's head as routing sees it: free of the codec that read it."""

from __future__ import annotations

from .fields import NO_REPEATED, Repeated


class Request:
    """Bytes as received. `path` has no query; `headers` has lower-case names, several values joined by `,` and holds
    neither host nor pseudo headers; `repeated` has the values of those that came several times. Requests with the same
    fields share both, so they may be replaced but never changed. `authority` is the Host header or :authority with its
    port."""

    __slots__ = ("method", "scheme", "authority", "path", "query", "headers", "repeated")

    def __init__(
        self, method: bytes, scheme: bytes, authority: bytes, path: bytes, query: bytes, headers: dict[bytes, bytes]
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.query = query  # without the question mark
        self.headers = headers
        self.repeated: Repeated = NO_REPEATED
