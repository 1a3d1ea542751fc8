"""An exchange of gRPC: its messages are counted, both ways, while it goes on."""

from __future__ import annotations

from ..clock import Alarm
from ..grpc.counter import MessageCounter, is_whole
from ..transport import Buffer
from .exchange import Exchange
from .exchange_states import ANSWERING
from .head import RequestHead, ResponseHead, is_grpc
from .responder import Responder
from .session import Session


def begin_exchange(session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> Exchange:
    """The exchange of a request that has just come."""
    if b"content-type" in head.headers and is_grpc(head):
        return GrpcExchange(session, head, responder, alarm)
    return Exchange(session, head, responder, alarm)


class GrpcExchange(Exchange):
    """Reads what goes through it, and changes nothing. Most pieces of a body are whole messages: from the first one on
    that is not, a counter takes it apart. (To ask super() costs as much as most that is done here.)"""

    __slots__ = ("_requests", "_responses", "_told", "_request", "_response")

    def __init__(self, session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> None:
        Exchange.__init__(self, session, head, responder, alarm)
        self._requests = 0  # messages that have come whole
        self._responses = 0
        self._told = (0, 0)  # how many the metrics have
        self._request: MessageCounter | None = None
        self._response: MessageCounter | None = None

    def start(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        if data:
            self._read_request(data)
        Exchange.start(self, data, ended, trailers)

    def request_data(self, data: Buffer) -> None:
        self._read_request(data)
        Exchange.request_data(self, data)

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        if data:
            self._read_response(data)
        Exchange.answered(self, head, data, ended)

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        if data:
            self._read_response(data)
        Exchange.answer_data(self, data, ended, trailers)

    def progress(self) -> None:
        """Count what has come of a call that goes on; before it is answered nobody knows who does."""
        if self.state == ANSWERING:
            self._report()

    def _read_request(self, data: Buffer) -> None:
        counter = self._request
        if counter is None:
            if is_whole(data):
                self._requests += 1
                return
            counter = self._request = MessageCounter()
        counter.read(data)

    def _read_response(self, data: Buffer) -> None:
        counter = self._response
        if counter is None:
            if is_whole(data):
                self._responses += 1
                return
            counter = self._response = MessageCounter()
        counter.read(data)

    def _report(self) -> None:
        """Count the messages that are new."""
        requests, responses = self._requests, self._responses
        if self._request is not None:
            requests += self._request.count
        if self._response is not None:
            responses += self._response.count
        before, answers_before = self._told
        if requests > before or responses > answers_before:
            self.shared.telemetry.add_messages(self.record, requests - before, responses - answers_before)
            self._told = (requests, responses)

    def _finish(self) -> None:
        self._report()
        Exchange._finish(self)
