"""A pod as the proxy serves it: who it is, what it sees of the mesh, what it may use, and its open connections."""

from __future__ import annotations

from ..balance.fairness import PodBudget
from ..config.meshconfig import PodLimits
from ..routing.client import Client
from ..routing.decision import Decision
from ..routing.edge import Edge
from ..routing.frontend import Frontend
from ..routing.request import Request
from ..routing.view import View
from .accept.sources import Sources
from .outlet import Outlet
from .peer import Attested, ClientPeer
from .shared import Shared
from .tap import ConnectionPlace, PodTap
from .transport import Handler


class PodOwner:
    """Who takes a pod's end up."""

    __slots__ = ()

    def pod_emptied(self, pod: Pod) -> None:
        """A removed pod's last connection is closed."""
        raise NotImplementedError


class Pod:
    """A listener's: its connections are decided by `view`, paid from `budget` and leave by `outlet`. They are of
    `peer`, unless they bring another one with them."""

    __slots__ = (
        "shared", "client", "peer", "view", "outlet", "lane", "gate", "gateway_port", "budget", "sources",
        "connections", "server", "edge", "tracing", "taps", "_owner", "_removed",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, owner: PodOwner, client: Client, view: View, outlet: Outlet, budget: PodBudget
    ) -> None:
        self.shared = shared
        self.client = client
        self.peer = peer_of(client)
        self.view = view
        self.edge = Edge(view.tables.mesh, client)
        self.tracing = shared.telemetry.tracing(client)
        self.taps: tuple[PodTap, ...] = ()  # who looks on while its requests are decided about
        self.outlet = outlet  # where its upstream connections leave from
        self.lane = outlet.lane
        self.gate = outlet.gate
        self.gateway_port = 0
        self.budget = budget
        self.gate.share = budget.buffer_share
        self.sources = Sources(self.gate, shared.clock)  # of a gateway
        self.connections: dict[Handler, None] = {}
        self.server = b"server: istio-envoy" if client.gateway else b"server: envoy"
        self._owner = owner
        self._removed = False

    def see(self, client: Client, view: View) -> None:
        """The mesh, or the workload, has changed."""
        self.client = client
        self.peer = peer_of(client)
        self.view = view
        self.edge = Edge(view.tables.mesh, client)
        self.tracing = self.shared.telemetry.tracing(client)

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

    def decide_at_gateway(self, request: Request, name: str) -> Decision:
        """What is to become of a request that came to its gateway port, over TLS with that server name or in plain."""
        decision = self.view.http_gateway(self.gateway_port, request, name)
        for tap in self.taps:
            tap.gateway(self.gateway_port, name, request, decision)
        return decision

    def decide_tls(self, frontend: Frontend | None, name: str, address: str = "") -> Decision:
        """What is to become of a TLS connection for that server name; `address` was dialled."""
        if frontend is None:
            decision = self.view.tls_gateway(self.gateway_port, name)
        else:
            decision = self.view.tls(frontend, name, address)
        self._tell(frontend, address, name, decision, tls=True)
        return decision

    def decide_tcp(self, frontend: Frontend | None, address: str, name: str = "") -> Decision:
        """What is to become of a connection in plain; `name` is the server name of TLS that ended at a gateway."""
        if frontend is None:
            decision = self.view.tcp_gateway(self.gateway_port, name)
        else:
            decision = self.view.tcp(frontend, address)
        self._tell(frontend, address, name, decision, tls=False)
        return decision

    def _tell(self, frontend: Frontend | None, address: str, name: str, decision: Decision, *, tls: bool) -> None:
        """Have those who look on see a connection."""
        for tap in self.taps:
            if frontend is None:
                place = ConnectionPlace("", self.gateway_port, tls)
            else:
                place = ConnectionPlace(address, frontend.port, tls)
            tap.connection(frontend, place, name, decision)

    def forget(self, connection: Handler) -> None:
        """A connection is closed."""
        if self.connections.pop(connection, self) is None:
            self.release()

    def release(self) -> None:
        """A connection that was accepted is closed, and nobody has it among `connections` any more."""
        self.budget.release_connection()
        if self._removed and not self.connections:
            self._owner.pod_emptied(self)

    def remove(self) -> None:
        """The pod's listener is gone; its connections run out."""
        self._removed = True
        if not self.connections:
            self._owner.pod_emptied(self)


def peer_of(client: Client) -> ClientPeer:
    """The peer that a listener's connections are of, unless they bring one."""
    return ClientPeer(client, Attested.ADDRESS if client.gateway else Attested.LISTENER)
