"""Who uses a connection: what it calls when something comes.

Calls come from inside `Connection.receive`, and from calls that end a stream. From inside of them everything may be
called that a `Connection` has, but `receive`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from .fault import Fault
from .head import Head, Pair

if TYPE_CHECKING:
    from .stream import Stream


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """One stream's user: an exchange's client side, or a call's upstream side. After `failed`, or when both sides have
    said END_STREAM, nothing more comes."""

    __slots__ = ()

    def head(self, head: Head, ended: bool) -> None:
        """A request, or the final response. `ended`: there is no body."""
        raise NotImplementedError

    def informed(self, head: Head) -> None:
        """An interim response (1xx)."""

    def oversized(self, head: Head, fault: Fault, ended: bool) -> None:
        """Server: a request's head is over the limits: only its pseudo fields are known, as far as they came. The
        stream is open, for an answer (431)."""
        raise NotImplementedError

    def data(self, data: bytes, ended: bool) -> None:
        """Part of the body, which may be empty when it ends. What was taken goes to `Connection.taken`."""
        raise NotImplementedError

    def trailers(self, trailers: list[Pair]) -> None:
        """The body has ended with these."""
        raise NotImplementedError

    def drained(self) -> None:
        """The peer's windows took all that waited in the stream, and more may be sent."""

    def failed(self, fault: Fault) -> None:
        """The stream is over before its end: reset by the peer, refused by us, or with its connection."""
        raise NotImplementedError


class Nobody(Receiver):
    """Before and after a stream has a user: nothing is to be told."""

    __slots__ = ()

    def head(self, head: Head, ended: bool) -> None:
        pass

    def oversized(self, head: Head, fault: Fault, ended: bool) -> None:
        pass

    def data(self, data: bytes, ended: bool) -> None:
        pass

    def trailers(self, trailers: list[Pair]) -> None:
        pass

    def failed(self, fault: Fault) -> None:
        pass


NOBODY: Final = Nobody()


@mypyc_attr(allow_interpreted_subclasses=True)
class Role:
    """A connection's user."""

    __slots__ = ()

    def opened(self, stream: Stream) -> Receiver:
        """Server: the client opened a stream, the head of which comes next."""
        raise NotImplementedError

    def refused(self, head: Head, fault: Fault) -> None:
        """Server: a request was refused with its head, which is known as far as it is well-formed; for the log."""

    def released(self, stream: Stream) -> None:
        """A stream is over, for both sides or by a reset: its place is free."""

    def settled(self) -> None:
        """The peer's settings have come: `Connection.peer`."""

    def ponged(self, payload: bytes) -> None:
        """The answer to a `ping`."""

    def leaving(self, fault: Fault) -> None:
        """The peer sent GOAWAY: no new streams. Those that it will not act on have failed by now."""

    def broken(self, fault: Fault) -> None:
        """The connection is over by a fault of the peer's; all streams have failed. What `outgoing` returns is still to
        be sent, before the connection is closed."""
        raise NotImplementedError
