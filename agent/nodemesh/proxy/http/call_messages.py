"""The messages of a gRPC call, counted both ways while it goes on."""

from __future__ import annotations

from ...telemetry.record import RequestRecord
from ...telemetry.telemetry import Telemetry
from ..grpc.counter import MessageCounter


class CallMessages:
    """What has been read of a call's two bodies, and how much of it the metrics have."""

    __slots__ = ("request", "response", "_record", "_telemetry", "_requests", "_responses")

    def __init__(self, record: RequestRecord, telemetry: Telemetry) -> None:
        self.request = MessageCounter()
        self.response = MessageCounter()
        self._record = record
        self._telemetry = telemetry
        self._requests = 0  # counted
        self._responses = 0

    def report(self) -> None:
        """Count what is new."""
        requests, responses = self.request.count, self.response.count
        if requests > self._requests or responses > self._responses:
            self._telemetry.add_messages(self._record, requests - self._requests, responses - self._responses)
            self._requests, self._responses = requests, responses
