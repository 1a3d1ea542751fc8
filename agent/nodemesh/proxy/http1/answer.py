"""Writing the responses of one connection, each with the framing that its client understands."""

from __future__ import annotations

from ..http.head import NO_EDITS, Edits, RequestHead, ResponseHead
from ..transport import Buffer, Transport
from .client import BULK_LENGTH
from .write import CONTINUE, write_chunk, write_last_chunk, write_response


class AnswerWriter:
    """`begin` once for each response, then its body by `send` and `finish`."""

    __slots__ = ("_transport", "_chunked")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._chunked = False  # how the present response is framed

    def inform(self, head: ResponseHead, request: RequestHead) -> None:
        """An interim response; HTTP/1.0 knows none (RFC 9110 section 15.2)."""
        message = CONTINUE if head.status == 100 else write_response(head, NO_EDITS, bodiless=True)
        if not request.fields.http10:
            self._transport.send(message)

    def begin(
        self, head: ResponseHead, edits: Edits, data: Buffer, *, ended: bool, request: RequestHead, close: bool
    ) -> bool:
        """The head, and as much of the body as there is; tells whether the connection ends with this response, which
        is so where `close` says it, or where only that ends the body."""
        status = head.status
        http10 = request.fields.http10
        bodiless = request.method == b"HEAD" or status == 304 or status == 204
        chunked = head.length < 0 and not bodiless
        if chunked and http10:
            chunked = False
            close = close or not ended
        self._chunked = chunked
        message = write_response(head, edits, chunked=chunked, bodiless=bodiless, close=close, http10=http10)
        if data and not bodiless:
            message += write_chunk(data) if chunked else data
        if ended and chunked:
            message += write_last_chunk([])
        if head.length >= BULK_LENGTH and not bodiless:
            self._transport.to_come = head.length
        self._transport.send(message)
        return close

    def send(self, data: Buffer) -> bool:
        """More of the body; False where no more should come for now."""
        self._transport.send(write_chunk(data) if self._chunked else data)
        return not self._transport.pending

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        """The end of the body."""
        if self._chunked:
            self._transport.send(write_chunk(data) + write_last_chunk(trailers))
        elif data:
            self._transport.send(data)
