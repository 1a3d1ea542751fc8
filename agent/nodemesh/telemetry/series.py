"""What is counted under one set of labels."""

from __future__ import annotations

from .dump import HttpCounts, MessageCounts, TcpCounts
from .histogram import Histogram
from .record import RequestRecord

Labels = tuple[str, ...]


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

    def take(self, labels: Labels) -> HttpCounts | None:
        """What is new since it was taken last, None where nothing is; begins at zero again."""
        if not self.requests:
            return None
        requests, self.requests = self.requests, 0
        return HttpCounts(labels, requests, self.duration.take(), self.request_bytes.take(), self.response_bytes.take())


class TcpSeries:
    """The numbers under one set of TCP labels."""

    __slots__ = ("opened", "closed", "sent", "received", "idle")

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self.sent = 0
        self.received = 0
        self.idle = 0

    def take(self, labels: Labels) -> TcpCounts | None:
        """What was counted since the last time; None: nothing."""
        if not (self.opened or self.closed or self.sent or self.received):
            return None
        counts = TcpCounts(labels, self.opened, self.closed, self.sent, self.received)
        self.opened = self.closed = self.sent = self.received = 0
        return counts


class MessageSeries:
    """The messages of gRPC calls under one set of labels."""

    __slots__ = ("requests", "responses", "idle")

    def __init__(self) -> None:
        self.requests = 0
        self.responses = 0
        self.idle = 0

    def take(self, labels: Labels) -> MessageCounts | None:
        """What was counted since the last time; None: nothing."""
        if not (self.requests or self.responses):
            return None
        counts = MessageCounts(labels, self.requests, self.responses)
        self.requests = self.responses = 0
        return counts
