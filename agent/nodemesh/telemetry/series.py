"""What is counted under one set of labels."""

from __future__ import annotations

from .histogram import Histogram
from .record import RequestRecord


class HttpSeries:
    """The numbers under one set of HTTP labels. `ended` are requests that are not counted yet."""

    __slots__ = ("ended", "requests", "duration", "request_bytes", "response_bytes", "idle")

    def __init__(self) -> None:
        self.ended: list[RequestRecord] = []
        self.requests = 0
        self.duration = Histogram()
        self.request_bytes = Histogram()
        self.response_bytes = Histogram()
        self.idle = 0  # dumps in which nothing was new

    def count(self) -> None:
        """Count what has ended."""
        ended, self.ended = self.ended, []
        self.requests += len(ended)
        self.duration.add([record.duration * 1000.0 for record in ended])
        self.request_bytes.add([float(record.bytes_received) for record in ended])
        self.response_bytes.add([float(record.bytes_sent) for record in ended])


class TcpSeries:
    """The numbers under one set of TCP labels."""

    __slots__ = ("opened", "closed", "sent", "received", "idle")

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.sent = 0
        self.received = 0
        self.idle = 0
