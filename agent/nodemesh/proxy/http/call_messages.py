"""The messages of a gRPC call, counted both ways while it goes on."""

from __future__ import annotations

from ...telemetry.record import RequestRecord
from ...telemetry.telemetry import Telemetry
from ..grpc.counter import MessageCounter, is_whole
from ..transport import Buffer


class CallMessages:
    """What has been read of a call's two bodies, and how much of it the metrics have. Most pieces are whole messages:
    from the first one on that is not, a counter takes a body apart."""

    __slots__ = ("_record", "_telemetry", "_requests", "_responses", "_request", "_response", "_told")

    def __init__(self, record: RequestRecord, telemetry: Telemetry) -> None:
        self._record = record
        self._telemetry = telemetry
        self._requests = 0  # that have come whole
        self._responses = 0
        self._request: MessageCounter | None = None
        self._response: MessageCounter | None = None
        self._told = (0, 0)

    def request(self, data: Buffer) -> None:
        """A piece of the request's body."""
        if self._request is None:
            if is_whole(data):
                self._requests += 1
                return
            self._request = MessageCounter()
        self._request.read(data)

    def response(self, data: Buffer) -> None:
        """A piece of the response's."""
        if self._response is None:
            if is_whole(data):
                self._responses += 1
                return
            self._response = MessageCounter()
        self._response.read(data)

    def report(self) -> None:
        """Count what is new."""
        requests, responses = self._requests, self._responses
        if self._request is not None:
            requests += self._request.count
        if self._response is not None:
            responses += self._response.count
        before_requests, before_responses = self._told
        if requests > before_requests or responses > before_responses:
            self._telemetry.add_messages(self._record, requests - before_requests, responses - before_responses)
            self._told = requests, responses
