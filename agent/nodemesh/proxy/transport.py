"""A byte stream as the proxy sees it, and the handler that it calls.

`io` implements these over sockets and epoll, `sim` in memory under a virtual clock; nothing else knows which it runs
on."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from .gate import OVER_QUOTA, Gate, Gated
from .peer import NOBODY, ClientPeer

#: What one read takes.
READ_SIZE: Final = 16 * 1024

#: Bytes that are still read of a client that has sent its FIN, however crowded its pod's buffers are.
LAST_WORDS: Final = 64 * 1024

#: Received bytes: a memoryview (of a buffer that is used again after the call) only while `Transport.bulk` is set.
Buffer = bytes | memoryview

#: TLS on a connection, whatever it is put on: two buffers in memory, or the socket itself.
Secured = ssl.SSLObject | ssl.SSLSocket


@mypyc_attr(allow_interpreted_subclasses=True)
class Handler:
    """What a transport calls. After `lost` it calls no more; after `Transport.close` or `abort` neither."""

    __slots__ = ()

    def connected(self) -> None:
        """An outgoing connection is established."""

    def received(self, data: Buffer) -> None:
        """Bytes have come; never empty."""
        raise NotImplementedError

    def passed(self, size: int) -> None:
        """So many bytes have gone to the transport that this one is joined to, unseen."""

    def ended(self) -> None:
        """The peer has sent its FIN: nothing more will come, though it may still read."""
        raise NotImplementedError

    def drained(self) -> None:
        """Everything that had to wait (`Transport.pending`) is written."""

    def lost(self, error: OSError) -> None:
        """The connection failed, or was never made; the transport is closed."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Whether nothing is lost with the connection but the connection."""
        return False

    def drain(self) -> None:
        """The worker is to end: finish what is under way and take nothing new."""

    def describe(self) -> dict[str, str]:
        """What is going on, for `nodemesh connections`."""
        return {}

    def prompted(self) -> None:
        """What was asked for by `Transport.prompt`."""

    def progress(self) -> None:
        """Count what has come so far, where it is not counted at its end alone; called every few seconds."""


class Silent(Handler):
    """Hears nothing: the handler of a transport that is closed, or closes."""

    __slots__ = ()

    def received(self, data: Buffer) -> None:
        pass

    def ended(self) -> None:
        pass

    def lost(self, error: OSError) -> None:
        pass


SILENT: Final = Silent()


@mypyc_attr(allow_interpreted_subclasses=True)
class Transport(Gated):
    """One connection. Sends never fail: what is broken is told by `Handler.lost` on a later turn.

    Back-pressure: whoever forwards looks at `pending` after sending and pauses its source until `Handler.drained`."""

    __slots__ = (
        "handler",
        "bulk",
        "to_come",
        "appetite",
        "established",
        "closed",
        "local",
        "remote",
        "entrance",
        "peer",
        "gate",
    )

    peer: ClientPeer  # of an accepted one: who it is of
    gate: Gate  # on whose account its bytes are buffered

    def __init__(self, handler: Handler, accepted: bool = False, established: bool = False) -> None:
        self.handler = handler
        self.bulk = False  # an offer: large reads are worth sparing their copy
        self.to_come = 0  # bytes of an answer that is about to be written, where they are many
        self.appetite = READ_SIZE  # bytes that one read takes, but for bytes in bulk
        self.pending = 0
        self.established = established
        self.accepted = accepted
        self.closed = False
        self.local = ""  # "address:port", for the access log
        self.remote = ""
        self.peer = NOBODY
        self.entrance = ""  # "address:port" of a plain listener that the client reached in its destination's stead

    def send(self, data: Buffer) -> None:
        """Write before the loop waits again, or keep a copy of what the peer does not take yet."""
        raise NotImplementedError

    def prompt(self) -> None:
        """Have `Handler.prompted` called before the loop waits again, once however often this is asked for: who has a
        little to say on many occasions says it together then."""
        self.handler.prompted()

    def join(self, other: Transport) -> None:
        """While its handler stays, what comes to one of the two is for the other as it is: it may go there without
        being shown to the handler, which is told its size. An offer: who declines it shows the handler everything."""

    @property
    def security(self) -> Secured | None:
        """The TLS that its bytes go over, if there is any."""
        return None

    @property
    def stale(self) -> bool:
        """Whether the peer's FIN or RST has come, though the handler does not know it yet. Costs a system call."""
        return False

    def reopened(self) -> None:
        """Nothing to do where `Gate.stops` is not asked."""

    def give_up(self, why: str) -> None:
        """Reset the connection for what others need."""
        handler = self.handler
        self.abort()
        handler.lost(OSError(OVER_QUOTA, why))

    def later(self, callback: Callable[[], None]) -> None:
        """Call back on a later turn of the pod, for what would take too much of this one. It is called even if the
        connection is closed by then. No transport within another connection's stream has this."""
        raise NotImplementedError

    def pause(self) -> None:
        """Read no more for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Read again."""
        raise NotImplementedError

    def end(self) -> None:
        """Send a FIN after what is pending; the other direction stays open."""
        raise NotImplementedError

    def close(self) -> None:
        """Close after what is pending is written; the handler hears no more."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close with a RST, and forget what is pending."""
        raise NotImplementedError
