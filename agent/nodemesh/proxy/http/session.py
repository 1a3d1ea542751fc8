"""What all requests of one client's connection have in common: who the client is, what it dialled, over which TLS, and
the rules that hold there."""

from __future__ import annotations

from ...registry.snapshot import Protocol
from ...routing.decision import Decision
from ...routing.fields import said_scheme
from ...routing.frontend import Frontend
from ...routing.match import VirtualHost
from ...telemetry.record import RequestRecord
from ..pod import Pod
from ..tap import tapped
from ..transport import Transport
from .edge import admit
from .entrance import authority_of, entrances
from .head import RequestHead
from .security import Security
from .variables import RequestFacts


class Session:
    """Made with the connection. `frontend` and `dialled` are None at a gateway, where the port alone is known."""

    __slots__ = (
        "pod", "peer", "gate", "frontend", "dialled", "security", "scheme", "remote", "local", "grpc_web", "_view",
        "_rules", "_authority", "_entrances",
    )  # fmt: skip

    def __init__(
        self,
        pod: Pod,
        transport: Transport,
        frontend: Frontend | None,
        dialled: tuple[str, int] | None,
        security: Security | None = None,
    ) -> None:
        self.pod = pod
        self.peer = transport.peer
        self.gate = transport.gate  # on whose account the client's bytes are kept
        self.frontend = frontend
        self.dialled = dialled
        self.security = security
        self.scheme = b"http" if security is None else b"https"
        self.remote = transport.remote  # "address:port" of the client
        self.local = transport.local  # what it dialled, likewise
        #: Whether clients of gRPC-Web are served: their port says so.
        self.grpc_web = frontend is not None and frontend.protocol is Protocol.GRPC_WEB
        self._view = pod.view
        self._rules: VirtualHost | None = None  # for the authority of the last request
        self._authority = b""
        self._entrances = entrances(transport.entrance)

    @property
    def dialled_port(self) -> int:
        """The port that the client dialled, for redirects."""
        return self.dialled[1] if self.dialled is not None else self.pod.gateway_port

    def admit(self, head: RequestHead) -> None:
        """Make a request that has just come one of this connection's."""
        pod = self.pod
        if pod.gateway_port:
            head.scheme = self.scheme  # HTTP/2 lets clients say what they like
            admit(pod.edge, head, self.remote, self.security)
        elif b"x-forwarded-proto" in head.headers:
            head.scheme = said_scheme(head.headers, head.scheme)
        if self._view is not pod.view:  # the mesh has changed since: each request is decided by the newest rules
            self._view = pod.view
            self._rules = None
            if self.dialled is not None:
                self.frontend = pod.view.frontend(*self.dialled)
        if self._entrances and self.dialled is not None and head.authority in self._entrances:
            head.authority = authority_of(*self.dialled)

    def facts(self, head: RequestHead, record: RequestRecord) -> RequestFacts:
        """The values of variables in header values, as far as all requests have the same, or they are known of each."""
        shared = self.pod.shared
        facts = RequestFacts(record, head, self.remote)
        facts.security = self.security.connection if self.security is not None else None
        facts.now = shared.clock.now
        facts.wall = shared.clock.time()
        facts.ids = shared.request_ids
        return facts

    def decide(self, request: RequestHead) -> Decision:
        """What is to become of a request; it came to a gateway where there is no frontend. A client of gRPC calls few
        methods, over and over, others poll: requests that are the same have the same decision, while the rules last."""
        frontend = self.frontend
        if frontend is None:
            security = self.security
            name = security.name if security is not None else ""
            return self.pod.decide_at_gateway(request, name)
        rules = self._rules
        if rules is None or self._authority != request.authority:
            found = self._view.virtual_host(frontend, request.authority)
            rules = self._rules = tapped(self.pod.taps, frontend, self.dialled, request.authority, found)
            self._authority = request.authority
        memory = request.memory
        if memory is None or self.pod.taps:  # who looks on sees each request
            return rules.decide(request)
        if memory.rules is not rules or memory.decision is None:
            memory.decision = rules.decide(request)
            memory.rules, memory.placement = rules, None
        return memory.decision
