"""What the proxy sees of the outside: byte streams, the handlers that they call, and the network that makes them.

`reactor` implements these over sockets and epoll, `sim` in memory under a virtual clock; nothing else knows
which it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from ..registry.snapshot import Endpoint
from ..routing.decision import Keepalive

if TYPE_CHECKING:
    from .gate import Account, Gate

#: What one read takes.
READ_SIZE: Final = 16 * 1024

#: Bytes that are still read of a client that has sent its FIN, however crowded its pod's buffers are.
LAST_WORDS: Final = 64 * 1024

#: Received bytes: a memoryview (of a buffer that is used again after the call) only while `Transport.bulk` is set.
Buffer = bytes | memoryview


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
class Transport:
    """One connection. Sends never fail: what is broken is told by `Handler.lost` on a later turn.

    Back-pressure: whoever forwards looks at `pending` after sending and pauses its source until `Handler.drained`."""

    __slots__ = (
        "handler",
        "bulk",
        "appetite",
        "pending",
        "established",
        "accepted",
        "closed",
        "local",
        "remote",
        "entrance",
        "gate",
    )

    gate: Gate  # on whose account its bytes are buffered

    def __init__(self, handler: Handler, accepted: bool = False, established: bool = False) -> None:
        self.handler = handler
        self.bulk = False  # large reads are worth sparing their copy
        self.appetite = READ_SIZE  # bytes that one read takes, but for bytes in bulk
        self.pending = 0  # bytes waiting to be written
        self.established = established
        self.accepted = accepted  # the pod's own connection to us, not ours to an upstream
        self.closed = False
        self.local = ""  # "address:port", for the access log
        self.remote = ""
        self.entrance = ""  # "address:port" of a plain listener that the client reached in its destination's stead

    def send(self, data: Buffer) -> None:
        """Write before the loop waits again, or keep a copy of what the peer does not take yet."""
        raise NotImplementedError

    def join(self, other: Transport) -> None:
        """While its handler stays, what comes to one of the two is for the other as it is: it may go there without
        being shown to the handler, which is told its size."""

    @property
    def stale(self) -> bool:
        """Whether the peer's FIN or RST has come, though the handler does not know it yet. Costs a system call."""
        return False

    def reopened(self) -> None:
        """The pod may be read again, which it might not when this connection last had something (`Gate.stops`)."""

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


@mypyc_attr(allow_interpreted_subclasses=True)
class Acceptor:
    """What a listener hands its connections to."""

    __slots__ = ()

    def accepted(self, transport: Transport, dialled: tuple[str, int] | None) -> None:
        """Take a new connection over: set `transport.handler`, or close it. `dialled` is the address that the client
        called connect() with, None where nobody knows it."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Watcher:
    """Something else that the loop watches: the socket to control, UDP sockets."""

    __slots__ = ()

    def readable(self) -> None:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Asker:
    """What a datagram's answers go to, until it is closed."""

    __slots__ = ()

    def heard(self, data: bytes) -> None:
        """A datagram has come back."""
        raise NotImplementedError

    def lost(self, error: OSError) -> None:
        """The peer cannot be reached."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Datagram(Watcher):
    """One datagram that waits for its answer."""

    __slots__ = ()

    def close(self) -> None:
        """Wait no longer."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Network:
    """Makes outgoing connections."""

    __slots__ = ()

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        """Start to connect, from within the network namespace with this fd (-1: our own). The transport may be written
        to at once; failure, an immediate one too, is told by `Handler.lost` on a later turn: no `endpoint` (a name
        without addresses) is such a failure. `lane` is the pod on whose account the connection is served."""
        raise NotImplementedError

    def ask(self, server: str, namespace: int, data: bytes, asker: Asker) -> Datagram:
        """Send a DNS query to a server from within the network namespace with this fd. Raises OSError."""
        raise NotImplementedError

    def gate(self, lane: int) -> Gate:
        """What is buffered on that lane's account."""
        raise NotImplementedError

    @property
    def buffers(self) -> Account:
        """What is buffered on all lanes' accounts."""
        raise NotImplementedError

    def drop_lane(self, lane: int, namespace: int) -> None:
        """A pod is gone for good, with all its clients' connections: give up its lane and its namespace's fd."""
