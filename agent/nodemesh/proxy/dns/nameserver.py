"""The DNS server inside a pod: names that the mesh knows are answered here, every other query goes on, as it is, to the
server that the pod has asked, and its answer back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from ...routing.nametable import NameEntry
from ...telemetry.names import Names
from ..network import Asker, Datagram, Watcher
from .message import (
    FORMAT_ERROR,
    IPV6,
    SERVER_FAILURE,
    DnsFormatError,
    Query,
    answer_with,
    answers,
    failure_of,
    read_query,
    with_number,
)

if TYPE_CHECKING:
    from ..clock import Timer
    from ..pod import Pod

#: Queries of one pod that may wait for an answer at the same time, in each worker.
MAX_WAITING: Final = 256

#: Seconds for a server's answer. Resolvers give up earlier, most after five.
PATIENCE: Final = 10.0

#: Where servers answer.
PORT: Final = 53

#: What queries come from: an address as the socket gives it.
Peer = tuple[object, ...]


@mypyc_attr(allow_interpreted_subclasses=True)
class Entrance(Watcher):
    """A socket that queries come by."""

    __slots__ = ()

    def nameserver(self) -> str:
        """The address of the server that what comes here is meant for; empty where nobody knows."""
        raise NotImplementedError

    def reply(self, answer: bytes, peer: Peer) -> None:
        """Send an answer; one that cannot be sent is lost, as datagrams are."""
        raise NotImplementedError


class Nameserver:
    """Serves one pod. `families` are those of its addresses, empty where they are not known: the mesh's own addresses
    are given in these alone, as the pod's system takes the others for unreachable."""

    __slots__ = ("pod", "families", "waiting", "counts")

    def __init__(self, pod: Pod, families: tuple[int, ...]) -> None:
        self.pod = pod
        self.families = families
        self.waiting: set[Forwarded] = set()
        self.counts: Names = pod.shared.telemetry.names

    def received(self, wire: bytes, entrance: Entrance, peer: Peer) -> None:
        """A datagram has come."""
        try:
            query = read_query(wire)
            if query is None:
                self.counts.malformed += 1
                return
            named = self.pod.view.named(query.name) if query.family and query.name else None
            if named is not None:
                entrance.reply(answer_with(wire, self._choose(named, query.family), named.alias), peer)
                self.counts.answered += 1
                return
        except DnsFormatError:
            self.counts.malformed += 1
            entrance.reply(failure_of(wire, FORMAT_ERROR), peer)
            return
        self._forward(query, wire, entrance, peer)

    def _choose(self, named: NameEntry, family: int) -> list[str]:
        """The addresses of that family, in any order: clients take the first."""
        if named.allocated and self.families and family not in self.families:
            return []
        found = [address for address in named.addresses if (":" in address) == (family == IPV6)]
        self.pod.shared.rng.shuffle(found)
        return found

    def _forward(self, query: Query, wire: bytes, entrance: Entrance, peer: Peer) -> None:
        server = entrance.nameserver()
        if not server or len(self.waiting) >= MAX_WAITING:
            self.counts.refused += 1
            entrance.reply(failure_of(wire, SERVER_FAILURE), peer)
            return
        self.counts.forwarded += 1
        forwarded = Forwarded(self, query, wire, entrance, peer)
        try:
            forwarded.ask(server, wire)
        except OSError as error:
            forwarded.lost(error)

    def close(self) -> None:
        """Nobody is there any more to hear an answer."""
        for forwarded in list(self.waiting):
            forwarded.forget()


class Forwarded(Asker):
    """A query that waits for its server's answer. It has a socket, and with it a port, and a number of its own that
    nobody can guess: what comes there is believed only from the server, under that number, for the same question."""

    __slots__ = ("server", "number", "original", "question", "head", "entrance", "peer", "datagram", "timer")

    def __init__(self, server: Nameserver, query: Query, wire: bytes, entrance: Entrance, peer: Peer) -> None:
        self.server = server
        self.number = int.from_bytes(os.urandom(2), "big")
        self.original = query.number
        self.question = query.question
        self.head = wire[:12]
        self.entrance = entrance
        self.peer = peer
        self.datagram: Datagram | None = None
        self.timer: Timer | None = None

    def ask(self, address: str, wire: bytes) -> None:
        """Raises OSError."""
        pod = self.server.pod
        self.server.waiting.add(self)
        self.timer = pod.shared.clock.after(PATIENCE, self._out_of_patience)
        outlet = pod.outlet
        self.datagram = pod.shared.network.datagrams((address, PORT), outlet.namespace, outlet.lane, self)
        self.datagram.send(with_number(wire, self.number))

    def heard(self, data: bytes) -> None:
        if not answers(data, self.number, self.question):
            self.server.counts.mismatched += 1
            return
        self.forget()
        self.entrance.reply(with_number(data, self.original), self.peer)

    def lost(self, error: OSError) -> None:
        """The server cannot be reached: told at once, so that the client asks another."""
        self.server.counts.unreachable += 1
        self.forget()
        self.entrance.reply(failure_of(self.head, SERVER_FAILURE), self.peer)

    def _out_of_patience(self) -> None:
        """A server that is silent stays silent; the client has asked again long since."""
        self.server.counts.timeouts += 1
        self.forget()

    def forget(self) -> None:
        self.server.waiting.discard(self)
        if self.timer is not None:
            self.server.pod.shared.clock.cancel(self.timer)
            self.timer = None
        if self.datagram is not None:
            self.datagram.close()
            self.datagram = None
