"""An exchange of gRPC: its messages are counted, both ways, while it goes on."""

from __future__ import annotations

from ..clock import Alarm
from ..transport import Buffer
from .call_messages import CallMessages
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
    """Reads what goes through it, and changes nothing. (To ask super() costs as much as most that is done here.)"""

    __slots__ = ("_messages",)

    def __init__(self, session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> None:
        Exchange.__init__(self, session, head, responder, alarm)
        self._messages = CallMessages(self.record, self.shared.telemetry)

    def start(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        if data:
            self._messages.request(data)
        Exchange.start(self, data, ended, trailers)

    def request_data(self, data: Buffer) -> None:
        self._messages.request(data)
        Exchange.request_data(self, data)

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        if data:
            self._messages.response(data)
        Exchange.answered(self, head, data, ended)

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        if data:
            self._messages.response(data)
        Exchange.answer_data(self, data, ended, trailers)

    def progress(self) -> None:
        """Count what has come of a call that goes on; before it is answered nobody knows who does."""
        if self.state == ANSWERING:
            self._messages.report()

    def _finish(self) -> None:
        self._messages.report()
        Exchange._finish(self)
