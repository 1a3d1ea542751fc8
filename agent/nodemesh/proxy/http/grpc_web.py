"""Clients of gRPC-Web: an exchange that speaks gRPC on one side and gRPC-Web on the other, as Istio's filter does for
ports of the protocol GRPC-WEB, here for each request by its content-type."""

from __future__ import annotations

from typing import Final

from ...telemetry.record import RequestRecord
from ..clock import Alarm
from ..grpc.web import WebCall, WebError, web_call
from ..transport import Buffer, Transport
from .errors import ProtocolError
from .exchange import Exchange
from .grpc import GrpcExchange, begin_exchange
from .head import UNKNOWN, Edits, RequestFields, RequestHead, ResponseHead
from .lines import name_of, value_of
from .responder import Responder
from .session import Session
from .tunnel import Upgrade

CONTENT_TYPE: Final = b"content-type"


def begin_web_exchange(session: Session, head: RequestHead, responder: Responder, alarm: Alarm) -> Exchange:
    """The exchange of a request that has just come to a port for gRPC-Web; its clients may speak plain gRPC as well."""
    call = web_call(head.headers.get(CONTENT_TYPE, b""))
    if call is None:
        return begin_exchange(session, head, responder, alarm)
    return WebExchange(session, translated(head, call), WebResponder(responder, call), alarm, call)


def translated(head: RequestHead, call: WebCall) -> RequestHead:
    """A request as gRPC has it; what came is shared with others that say the same, and stays as it is."""
    came = head.fields
    pairs = call.request_fields([(name_of(line), value_of(line)) for line in came.lines])
    kept = [pair for pair in pairs if pair[0] != b"te"]  # the codecs write it, as `trailers` says
    headers = {**came.headers, **dict(pairs)}
    headers.pop(b"content-length", None)
    fields = RequestFields(
        [name + b": " + value for name, value in kept], frozenset([name for name, _ in kept]), headers
    )
    fields.repeated = came.repeated
    fields.authority = came.authority
    fields.close, fields.http10 = came.close, came.http10
    fields.controlled = came.controlled
    fields.length = UNKNOWN if came.length else 0
    fields.trailers = True
    request = RequestHead(head.method, head.scheme, head.authority, head.path, head.query, fields)
    request.edits, request.http2, request.client, request.weight = head.edits, head.http2, head.client, head.weight
    return request


class WebExchange(GrpcExchange):
    """The client's body is translated on its way in."""

    __slots__ = ("_web",)

    def __init__(self, session: Session, head: RequestHead, responder: Responder, alarm: Alarm, web: WebCall) -> None:
        super().__init__(session, head, responder, alarm)
        self._web = web

    def start(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        decoded = self._decoded(data, ended)
        if decoded is not None:
            super().start(decoded, ended, [])

    def request_data(self, data: Buffer) -> None:
        decoded = self._decoded(data, False)
        if decoded:
            super().request_data(decoded)

    def request_ended(self, trailers: list[bytes]) -> None:
        left = self._decoded(b"", True)
        if left:
            super().request_data(left)
        if left is not None:
            super().request_ended([])

    def _decoded(self, data: Buffer, ended: bool) -> bytes | None:
        """None, and the answer to that, where the body is no base64."""
        try:
            return self._web.request_data(bytes(data), ended)
        except WebError as error:
            self.malformed(ProtocolError(str(error)))
            return None


class WebResponder(Responder):
    """The response is translated on its way out: its trailers are the last part of its body."""

    __slots__ = ("_responder", "_web", "_translates")

    def __init__(self, responder: Responder, web: WebCall) -> None:
        self._responder = responder
        self._web = web
        self._translates = False  # the answer is gRPC's

    def inform(self, head: ResponseHead) -> None:
        self._responder.inform(head)

    def respond(self, head: ResponseHead, edits: Edits, data: Buffer, ended: bool) -> None:
        own = edits.get(CONTENT_TYPE)
        pairs = [(name_of(line), value_of(line)) for line in head.lines]
        if own:
            pairs = [(CONTENT_TYPE, value_of(own))]
        fields = self._web.response_fields(pairs)
        self._translates = fields is not pairs
        if not self._translates:
            self._responder.respond(head, edits, data, ended)
            return
        if own:
            edits[CONTENT_TYPE] = CONTENT_TYPE + b": " + self._web.content_type
            answer = head.with_fields(head.lines, head.names)
        else:
            lines = [name + b": " + value for name, value in fields]
            answer = head.with_fields(lines, frozenset([name for name, _ in fields]))
        answer.length = 0 if ended and not data else UNKNOWN
        self._responder.respond(answer, edits, self._web.response_data(bytes(data)) if data else b"", ended)

    def send(self, data: Buffer) -> bool:
        return self._responder.send(self._web.response_data(bytes(data)) if self._translates else data)

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        if not self._translates:
            self._responder.finish(data, trailers)
            return
        body = self._web.response_data(bytes(data)) if data else b""
        if trailers:
            body += self._web.response_trailers([(name_of(line), value_of(line)) for line in trailers])
        self._responder.finish(body, [])

    def switch(
        self, head: ResponseHead, edits: Edits, upstream: Transport, data: bytes, record: RequestRecord, tunnel: Upgrade
    ) -> None:
        self._responder.switch(head, edits, upstream, data, record, tunnel)

    def reset(self) -> None:
        self._responder.reset()

    def pause(self) -> None:
        self._responder.pause()

    def resume(self) -> None:
        self._responder.resume()

    def done(self) -> None:
        self._responder.done()
