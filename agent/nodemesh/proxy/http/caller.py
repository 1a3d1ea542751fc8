"""Who makes a call, as the call knows it: an exchange, or a mirror."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..transport import Buffer, Transport
from .head import ResponseHead


class Caller:
    """Who made a call. After `answered` or `answer_data` with `ended`, and after `call_failed`, the call is over."""

    __slots__ = ()

    def informed(self, head: ResponseHead) -> None:
        """An interim response (1xx)."""

    def answered(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        """The response that counts, with the part of its body that came along."""
        raise NotImplementedError

    def answer_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        """More of the response's body."""
        raise NotImplementedError

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        """The upstream changed the protocol (101); the connection is the caller's now, who cancels the call when it is
        closed."""
        raise NotImplementedError

    def call_failed(self, reason: Reason, detail: str) -> None:
        """No try gave a complete response. The reasons before the last are in `Call.reasons`."""
        raise NotImplementedError

    def call_drained(self) -> None:
        """The upstream takes more of the request's body."""


#: The caller of a call that has ended. Caller and call know each other: that is undone, so that requests do not
#: wait for the garbage collector, whose passes all others would feel.
NOBODY: Final = Caller()
