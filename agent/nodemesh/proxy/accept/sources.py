"""A gateway's clients by their addresses, so that none of them shuts the others out: of connections and of buffers each
may have all that nobody else wants."""

from __future__ import annotations

from ipaddress import IPv6Address
from typing import Final

from ..addresses import host_of
from ..clock import Clock
from ..gate import Gate, Gated
from ..transport import Transport

#: Connections of the client with most of them that are looked at for one to give up.
LOOKED_AT: Final = 64


class SourceGate(Gate):
    """The gate of one address's connections."""

    __slots__ = ("clients", "key", "sources")

    def __init__(self, key: str, sources: Sources) -> None:
        self.clients: dict[int, Transport] = {}
        super().__init__(self.clients, sources.gate)
        self.key = key
        self.sources = sources

    def forget(self, transport: Gated) -> None:
        super().forget(transport)
        if self.clients.pop(id(transport), None) is not None and not self.clients:
            self.sources.known.pop(self.key, None)


class Sources:
    """All clients of one gateway's port; `gate` is the gateway's own."""

    __slots__ = ("gate", "clock", "known", "_largest", "_looked")

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.gate = gate
        self.clock = clock
        self.known: dict[str, SourceGate] = {}
        self._largest: SourceGate | None = None
        self._looked = -1.0

    def enter(self, transport: Transport) -> None:
        """A connection has come: what it sends is buffered on its client's account."""
        key = source_of(transport.remote)
        source = self.known.get(key)
        if source is None:
            source = self.known[key] = SourceGate(key, self)
        source.clients[id(transport)] = transport
        transport.gate = source

    def spare(self, newcomer: Transport) -> Transport | None:
        """A connection that serves no request, of the client with the most: to be given up for one of a client that has
        fewer. None where there is none."""
        largest = self._find_largest()
        if largest is None:
            return None
        own = self.known.get(source_of(newcomer.remote))
        if own is not None and len(own.clients) + 1 >= len(largest.clients):
            return None
        for number, transport in enumerate(largest.clients.values()):
            if transport.handler.idle:
                return transport
            if number == LOOKED_AT:
                break
        return None

    def _find_largest(self) -> SourceGate | None:
        """Looked for once in a turn: there may be as many clients as connections."""
        if self._looked != self.clock.now or self._largest is None or not self._largest.clients:
            self._looked = self.clock.now
            self._largest = max(self.known.values(), key=size_of, default=None)
        return self._largest


def size_of(source: SourceGate) -> int:
    return len(source.clients)


def source_of(remote: str) -> str:
    """The client behind `address:port`: of IPv6 the network of 64 bits, which is one customer's (RFC 6177)."""
    address = host_of(remote)
    if ":" not in address:
        return address
    mapped = IPv6Address(address.partition("%")[0])
    return str(mapped.ipv4_mapped or IPv6Address(int(mapped) >> 64 << 64))
