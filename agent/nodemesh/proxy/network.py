"""The network as the proxy sees it: what makes connections, hands them over, and carries datagrams.

`io` implements it over sockets and epoll, `sim` in memory under a virtual clock."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from ..registry.snapshot import Endpoint
from ..routing.decision import Keepalive
from .gate import Account, Gate
from .transport import Buffer, Handler, Transport


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
    """What hears the datagrams that come to a `Datagram`, until that is closed."""

    __slots__ = ()

    def heard(self, data: bytes) -> None:
        """A datagram has come back."""
        raise NotImplementedError

    def lost(self, error: OSError) -> None:
        """The peer cannot be reached, the kernel has heard."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Datagram(Watcher):
    """A socket for datagrams to one peer, which hears from nobody else."""

    __slots__ = ()

    def send(self, data: Buffer, hops: int = 0) -> bool:
        """Send a datagram that may take so many hops, as many as the kernel gives without; False: there is no room for
        it, and it is lost. Raises OSError where the peer cannot be reached."""
        raise NotImplementedError

    def close(self) -> None:
        """Hear no more."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Network:
    """Makes outgoing connections."""

    __slots__ = ()

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        """Start to connect, from within the network namespace with this fd (-1: our own). The transport may be written
        to at once; failure, an immediate one too, comes by `Handler.lost` on a later turn: no `endpoint` (a name
        without addresses) is such a failure. `lane` is the pod on whose account the connection is served."""
        raise NotImplementedError

    def datagrams(self, peer: tuple[str, int], namespace: int, lane: int, asker: Asker) -> Datagram:
        """A socket for datagrams to a peer, within the network namespace with this fd (-1: our own), on that lane's
        account. Raises OSError."""
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
