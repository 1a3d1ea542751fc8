"""Where an exchange's answer goes: an HTTP/1.1 connection at its present request, or one stream of an HTTP/2
connection."""

from __future__ import annotations

from mypy_extensions import trait

from ...telemetry.record import RequestRecord
from ..transport import Buffer, Transport
from .head import Edits, ResponseHead
from .tunnel import Upgrade


@trait
class Responder:
    """`respond` once, then the body by `send` and `finish`, unless `respond` was told that it ended. `done` is last."""

    __slots__ = ()

    def inform(self, head: ResponseHead) -> None:
        """Pass an interim response (1xx) on."""
        raise NotImplementedError

    def respond(self, head: ResponseHead, edits: Edits, data: Buffer, ended: bool) -> None:
        """The response's head, and as much of its body as there is."""
        raise NotImplementedError

    def send(self, data: Buffer) -> bool:
        """More of the body; False where no more should come until `Exchange.downstream_drained`."""
        raise NotImplementedError

    def finish(self, data: Buffer, trailers: list[bytes]) -> None:
        """The end of the body."""
        raise NotImplementedError

    def switch(
        self, head: ResponseHead, edits: Edits, upstream: Transport, data: bytes, record: RequestRecord, tunnel: Upgrade
    ) -> None:
        """Both sides speak another protocol from here on: relay bytes."""
        raise NotImplementedError

    def reset(self) -> None:
        """The response cannot be completed: the client must see it as broken."""
        raise NotImplementedError

    def pause(self) -> None:
        """Read no more of the request's body for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Read on."""
        raise NotImplementedError

    def done(self) -> None:
        """The exchange is over."""
        raise NotImplementedError
