"""Who uses a connection: what it calls when something comes.

Calls come from inside `Http2Connection.receive`, and from calls that end a stream. From inside of them everything may
be called that a `Http2Connection` has, but `receive`."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from .fault import Http2Fault
from .head import Head
from .receiver import Receiver
from .stream import Http2Stream


@mypyc_attr(allow_interpreted_subclasses=True)
class Role:
    """A connection's user."""

    __slots__ = ()

    def opened(self, stream: Http2Stream) -> Receiver:
        """Server: the client opened a stream, the head of which comes next."""
        raise NotImplementedError

    def refused(self, head: Head, fault: Http2Fault) -> None:
        """Server: a request was refused with its head, which is known as far as it is well-formed; for the log."""

    def released(self, stream: Http2Stream) -> None:
        """A stream is over, for both sides or by a reset: its place is free."""

    def settled(self) -> None:
        """The peer's settings have come: `Http2Connection.peer`."""

    def ponged(self, payload: bytes) -> None:
        """The answer to a `ping`."""

    def leaving(self, fault: Http2Fault) -> None:
        """The peer sent GOAWAY: no new streams. Those that it will not act on have failed by now."""

    def broken(self, fault: Http2Fault) -> None:
        """The connection is over by a fault of the peer's; all streams have failed. What `outgoing` returns is still to
        be sent, before the connection is closed."""
        raise NotImplementedError
