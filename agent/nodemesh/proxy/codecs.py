"""The codecs that speak to endpoints."""

from __future__ import annotations

from .http.pool import Pool
from .http.stream import Exclusive, Multiplexed
from .http.target import Codecs
from .http1.client import Http1Client
from .http2.client import Http2Client
from .outlet import Outlet


class HttpCodecs(Codecs):
    """HTTP/1.1 and HTTP/2."""

    __slots__ = ()

    def http1(self, pool: Pool, outlet: Outlet, name: str) -> Exclusive:
        return Http1Client(pool, outlet, name)

    def http2(self, pool: Pool, outlet: Outlet, name: str) -> Multiplexed:
        return Http2Client(pool, outlet, name)
