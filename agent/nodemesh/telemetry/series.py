"""What is counted under one set of labels."""

from __future__ import annotations

from .histogram import Histogram


class HttpSeries:
    """The numbers under one set of HTTP labels."""

    __slots__ = ("requests", "duration", "request_bytes", "response_bytes", "idle")

    def __init__(self) -> None:
        self.requests = 0
        self.duration = Histogram()
        self.request_bytes = Histogram()
        self.response_bytes = Histogram()
        self.idle = 0  # dumps in which nothing was new


class TcpSeries:
    """The numbers under one set of TCP labels."""

    __slots__ = ("opened", "closed", "sent", "received", "idle")

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.sent = 0
        self.received = 0
        self.idle = 0
