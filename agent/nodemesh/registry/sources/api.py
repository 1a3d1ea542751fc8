"""What the reading of a cluster needs of an API server's client, and how its refusals look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

Query = Mapping[str, str]


class ApiError(Exception):
    """The server said no, or nothing. `status` is HTTP's, 0 where no answer came; `retry_after` is seconds."""

    def __init__(self, status: int, message: str, reason: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def expired(self) -> bool:
        """The resourceVersion or the continue token is too old (API concepts, "410 Gone responses")."""
        return self.status == 410


class Api(Protocol):
    """A connection to an API server that knows its address and credentials. All raise ApiError."""

    async def get(self, path: str, query: Query, accept: str) -> bytes:
        """The whole body of a good answer."""

    async def send(self, method: str, path: str, body: msgspec.Raw) -> bytes:
        """Write JSON with POST or PUT; the body of a good answer."""

    async def apply(self, path: str, body: msgspec.Raw) -> bytes:
        """Server-side apply of an object's fields, as ours whoever had them (API concepts, "Server-Side Apply")."""

    def stream(
        self, path: str, query: Query, accept: str, seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """An answer as it comes, in pieces, for `seconds` at most."""
