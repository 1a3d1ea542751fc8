"""A request's head as routing sees it: free of the codec that read it."""

from __future__ import annotations


class Request:
    """Bytes as received. `path` has no query; `headers` has lower-case names, several values joined by `,` and holds
    neither host nor pseudo headers; requests with the same fields share it, so it may be replaced but never changed.
    `authority` is the Host header or :authority with its port."""

    __slots__ = ("method", "scheme", "authority", "path", "query", "headers")

    def __init__(
        self, method: bytes, scheme: bytes, authority: bytes, path: bytes, query: bytes, headers: dict[bytes, bytes]
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.query = query  # without the question mark
        self.headers = headers
