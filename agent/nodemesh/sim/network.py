"""The simulated network: who listens where, and what becomes of connections."""

from __future__ import annotations

import errno

from ..proxy.gate import Account, Gate
from ..proxy.network import Asker, Datagram, Network
from ..proxy.transport import Buffer, Handler, Transport
from ..registry.snapshot import Endpoint
from ..routing.decision import Keepalive
from .pipe import Events, MemoryTransport, Peer


class SimServer:
    """A fake upstream: collects its connections; `silent` ones never complete the handshake, and with `code` (an errno)
    they fail."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.code = 0
        self.connections: list[Peer] = []
        self.namespaces: list[int] = []  # where each was opened from
        self._taken = 0

    def opened(self, peer: Peer, namespace: int) -> None:
        """A connection stands, from that network namespace."""
        self.connections.append(peer)
        self.namespaces.append(namespace)

    def accept(self) -> Peer:
        """The next connection that was not accepted yet."""
        peer = self.connections[self._taken]
        self._taken += 1
        return peer

    @property
    def waiting(self) -> int:
        """Connections that were not accepted yet."""
        return len(self.connections) - self._taken


class SimDatagrams(Datagram):
    """A socket for datagrams: keeps what was sent, and the `hops` of each; the test answers, or lets it be. With `code`
    (an errno) sending fails; a `full` one has no room."""

    __slots__ = ("peer", "namespace", "sent", "hops", "asker", "closed", "code", "full")

    def __init__(self, peer: tuple[str, int], namespace: int, asker: Asker) -> None:
        self.peer = peer
        self.namespace = namespace
        self.sent: list[bytes] = []
        self.hops: list[int] = []
        self.asker = asker
        self.closed = False
        self.code = 0
        self.full = False

    def send(self, data: Buffer, hops: int = 0) -> bool:
        if self.code:
            raise OSError(self.code, errno.errorcode[self.code])
        if not self.full:
            self.sent.append(bytes(data))
            self.hops.append(hops)
        return not self.full

    def close(self) -> None:
        self.closed = True


class MemoryNetwork(Network):
    """Connects to the servers that it knows; all else is refused."""

    def __init__(self) -> None:
        self.events = Events()
        self.servers: dict[tuple[str, int], SimServer] = {}
        self.sockets: list[SimDatagrams] = []  # for datagrams, in the order in which they were opened
        self.dropped_lanes: list[int] = []
        self.gates: dict[int, Gate] = {}
        self._buffers = Account()
        self._transports: dict[int, dict[int, Transport]] = {}

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        transport = self.transport(lane, handler, False)
        if endpoint is None:
            self.later(transport, errno.EADDRNOTAVAIL)
            return transport
        transport.remote = f"{endpoint.address}:{endpoint.port}"
        server = self.server_at(endpoint.address, endpoint.port)
        if server is None:
            self.later(transport, errno.ECONNREFUSED)
        elif server.code:
            self.later(transport, server.code)
        elif not server.silent:
            server.opened(transport.far_end, namespace)
            self.events.append(transport.establish)
        return transport

    def server_at(self, address: str, port: int) -> SimServer | None:
        """Who listens there."""
        return self.servers.get((address, port))

    def transport(self, lane: int, handler: Handler, accepted: bool) -> MemoryTransport:
        """A new connection on a lane's account."""
        gate = self.gate(lane)
        transport = MemoryTransport(self.events, handler, gate, accepted)
        self._transports[lane][len(self._transports[lane])] = transport
        return transport

    def datagrams(self, peer: tuple[str, int], namespace: int, lane: int, asker: Asker) -> Datagram:
        self.sockets.append(SimDatagrams(peer, namespace, asker))
        return self.sockets[-1]

    def gate(self, lane: int) -> Gate:
        if lane not in self.gates:
            transports = self._transports[lane] = {}
            self.gates[lane] = Gate(transports, self._buffers)
        return self.gates[lane]

    @property
    def buffers(self) -> Account:
        return self._buffers

    def drop_lane(self, lane: int, namespace: int) -> None:
        self.dropped_lanes.append(lane)

    def later(self, transport: MemoryTransport, code: int) -> None:
        """Refuse on a later turn."""
        self.events.append(ConnectRefusal(transport, code))

    def run(self) -> None:
        """Let everything happen that is under way."""
        self.events.run()


class ConnectRefusal:
    """An event that refuses one connection."""

    def __init__(self, transport: MemoryTransport, code: int) -> None:
        self.transport = transport
        self.code = code

    def __call__(self) -> None:
        self.transport.refuse(self.code)
