"""A pod as the proxy's client: what it sees of the mesh, where its upstream sockets are made, what it may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..balance.fairness import PodBudget
from ..config.meshconfig import PodLimits
from ..reasons import Reason
from ..registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol
from ..routing.client import Client
from ..routing.decision import Decision
from ..routing.edge import Edge
from ..routing.frontend import Frontend
from ..routing.view import View
from ..telemetry.record import ConnectionRecord
from .accept.arrival import Arrival
from .accept.http import serve_http
from .accept.proxy_protocol import Announced
from .accept.sniff import Sniffer
from .accept.sources import Sources
from .addresses import ADDRESSES, show
from .http.session import Session
from .network import Acceptor
from .tcp.connection import start_tcp
from .transport import Handler, Transport

if TYPE_CHECKING:
    from .proxy import Proxy


#: Protocols whose first bytes are looked at.
SNIFFED = TLS_PROTOCOLS | {Protocol.AUTO}


class Pod(Acceptor):
    """The listener that a connection came from is the client's identity: each has one of these."""

    __slots__ = (
        "proxy", "client", "view", "namespace", "lane", "gateway_port", "budget", "gate", "sources", "connections",
        "server", "edge", "_removed",
    )  # fmt: skip

    def __init__(self, proxy: Proxy, client: Client, view: View, namespace: int, lane: int) -> None:
        self.proxy = proxy
        self.client = client
        self.view = view
        self.edge = Edge(view.tables.mesh, client)
        self.namespace = namespace  # fd of the network namespace for upstream sockets; -1: the worker's own
        self.lane = lane
        self.gateway_port = 0
        self.budget = PodBudget(proxy.limits, proxy.workers)
        self.gate = proxy.network.gate(lane)
        self.gate.share = self.budget.buffer_share
        self.sources = Sources(self.gate, proxy.clock)  # of a gateway
        self.connections: dict[Handler, None] = {}
        self.server = b"server: istio-envoy" if client.gateway else b"server: envoy"
        self._removed = False

    def see(self, client: Client, view: View) -> None:
        """The mesh, or the workload, has changed."""
        self.client = client
        self.view = view
        self.edge = Edge(view.tables.mesh, client)

    def limit(self, limits: PodLimits, workers: int) -> None:
        """Take new limits."""
        self.budget.configure(limits, workers)
        self.gate.share = self.budget.buffer_share

    def relieve(self, now: float) -> None:
        """Give up the connection that has kept all others of the pod from being read for too long."""
        for gate in (self.gate, *self.sources.known.values()):
            transport = gate.overdue(now)
            if transport is not None:
                transport.give_up("the pod's buffers are full")

    def accepted(self, transport: Transport, dialled: tuple[str, int] | None) -> None:
        """Serve a new connection as its port's protocol says, or its first bytes where none is declared."""
        if not self.budget.try_connection() and not self._make_room(transport):
            self._turn_away(transport, Reason.LIMIT_PER_POD)
            return
        if self.gateway_port:
            if self.edge.proxy_protocol:
                Announced(self, transport, self._accept_as_gateway)
            else:
                self._accept_as_gateway(transport)
            return
        if dialled is None:
            self.budget.release_connection()
            self._turn_away(transport, Reason.ORIGINAL_DESTINATION_UNKNOWN)
            return
        transport.local = ADDRESSES[dialled].text
        if self.client.addresses:
            transport.remote = self._name_of(transport.remote, dialled[0])
        frontend = self.view.frontend(dialled[0], dialled[1])
        protocol = frontend.protocol
        if protocol in HTTP_PROTOCOLS:
            serve_http(Session(self, transport, frontend, dialled), transport)
        elif protocol in SNIFFED:
            Sniffer(self, transport, frontend, dialled, protocol is Protocol.AUTO)
        else:
            start_tcp(self, transport, self.view.tcp(frontend, dialled[0]), dialled, b"", "")

    def _name_of(self, peer: str, dialled: str) -> str:
        """The app's end as others see it: what is redirected comes from the pod's loopback."""
        addresses = self.client.addresses
        same = [address for address in addresses if (":" in address) == (":" in dialled)]
        return show(((same or addresses)[0], peer.rpartition(":")[2]))

    def _make_room(self, newcomer: Transport) -> bool:
        """Whether a gateway that has all the connections it may have takes one more, in place of one of the client that
        has most of them."""
        spare = self.sources.spare(newcomer) if self.gateway_port else None
        if spare is None:
            return False
        spare.give_up("the gateway has no room for so many of one client")
        return self.budget.try_connection()

    def decide_tls(self, frontend: Frontend | None, name: str, address: str = "") -> Decision:
        """What is to become of a TLS connection for that server name; `address` was dialled."""
        if frontend is None:
            return self.view.tls_gateway(self.gateway_port, name)
        return self.view.tls(frontend, name, address)

    def _accept_as_gateway(self, transport: Transport) -> None:
        self.sources.enter(transport)
        protocol = self.view.gateway_protocol(self.gateway_port)
        if protocol is None:
            self.budget.release_connection()
            self._turn_away(transport, Reason.ROUTE_NOT_FOUND)
        elif protocol in HTTP_PROTOCOLS:
            serve_http(Session(self, transport, None, None), transport)
        elif protocol in TLS_PROTOCOLS:
            Arrival(self, transport)
        else:
            start_tcp(self, transport, self.view.tcp_gateway(self.gateway_port), None, b"", "")

    def forget(self, connection: Handler) -> None:
        """A connection is closed."""
        if self.connections.pop(connection, self) is None:
            self.budget.release_connection()
            if self._removed and not self.connections:
                self.proxy.pod_emptied(self)

    def remove(self) -> None:
        """The pod's listener is gone; its connections run out."""
        self._removed = True
        if not self.connections:
            self.proxy.pod_emptied(self)

    def _turn_away(self, transport: Transport, reason: Reason) -> None:
        record = ConnectionRecord(self.client)
        record.started = self.proxy.clock.time()
        record.downstream_remote = transport.remote
        record.duration = 0.0
        record.reasons = (reason,)
        transport.abort()
        self.proxy.telemetry.opened(record)
        self.proxy.telemetry.record(record)
