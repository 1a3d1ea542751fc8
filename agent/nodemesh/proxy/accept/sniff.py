"""The first bytes of a connection decide what it is, where the port does not say: HTTP/1, HTTP/2, TLS, or plain TCP.

Nobody waits for anybody: a client that is silent for a moment may be waiting for its server's greeting, so that the
upstream connection is made meanwhile (`early`), and whoever speaks first is forwarded."""

from __future__ import annotations

from typing import Final

from ...registry.snapshot import Protocol
from ...routing.decision import Decision
from ...routing.frontend import Frontend
from ...telemetry.record import ConnectionRecord
from ..clock import Timer
from ..http.session import Session
from ..http1.patience import HEAD_TIMEOUT, IDLE_TIMEOUT
from ..pod import Pod
from ..tcp.connection import start_tcp
from ..tcp.early import EarlyConnection, Waiting, give_up, start_early
from ..tcp.relay import Relay
from ..tls.client_hello import HANDSHAKE, MAX_HELLO, server_name
from ..transport import Buffer, Handler, Transport
from .http import serve_http

# What first bytes say.
UNDECIDED: Final = 0
HTTP1: Final = 1
HTTP2: Final = 2
TLS: Final = 3
TCP: Final = 4
HTTP10: Final = 5

METHODS: Final = (
    b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH ",
)  # fmt: skip

#: RFC 9113 section 3.4.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: Seconds a client may be silent before the upstream connection is made. Most that speak first do so with their SYN's
#: acknowledgement; the others cost one connection in vain.
SILENCE: Final = 0.005

#: Bytes of a first line that are looked at; a longer one is for HTTP to refuse.
MAX_LINE: Final = 16 * 1024

#: Seconds that a silent client has to speak where no server could be reached for it (Istio's connectTimeout).
PATIENCE: Final = 10.0


def classify(data: bytes) -> int:
    """What a connection that begins like this is."""
    if data.startswith(HANDSHAKE):
        return TLS
    if data.startswith(PREFACE):
        return HTTP2
    if any(data.startswith(method) for method in METHODS):
        return HTTP1
    possible = (*METHODS, PREFACE, HANDSHAKE)
    return UNDECIDED if any(start.startswith(data) for start in possible) else TCP


def version(data: bytes) -> int:
    """What begins like a request of HTTP/1 is by its first line, as Envoy's HTTP inspector reads it: only HTTP/1.1 and
    1.0 are; other protocols have such words too."""
    end = data.find(b"\n")
    if end < 0:
        return UNDECIDED if len(data) < MAX_LINE else HTTP1
    line = data[:end].rstrip(b"\r")
    if line.endswith(b" HTTP/1.1"):
        return HTTP1
    return HTTP10 if line.endswith(b" HTTP/1.0") else TCP


class Sniffer(Handler, Waiting):
    """Reads until it knows, then hands the connection over. `early` says that the port may belong to a protocol whose
    server speaks first."""

    __slots__ = (
        "pod",
        "transport",
        "frontend",
        "dialled",
        "_data",
        "_held",
        "_may_be_tcp",
        "_early",
        "_timer",
        "_failure",
    )

    def __init__(
        self,
        pod: Pod,
        transport: Transport,
        frontend: Frontend | None,
        dialled: tuple[str, int] | None,
        early: bool,
    ) -> None:
        self.pod = pod
        self.transport = transport
        self.frontend = frontend
        self.dialled = dialled
        self._data = b""
        self._held = 0  # bytes of it that the gate knows of
        self._may_be_tcp = early
        self._early: EarlyConnection | None = None  # to the server that may speak first
        clock = pod.shared.clock
        self._timer: Timer | None
        if early:
            self._timer = clock.after(SILENCE, self._silent)
        else:
            self._timer = clock.after(IDLE_TIMEOUT if frontend is not None else HEAD_TIMEOUT, self._close)
        self._failure: ConnectionRecord | None = None  # why there is no such server
        transport.handler = self
        pod.connections[self] = None

    def received(self, data: Buffer) -> None:
        self._data += data
        self._count(len(data))
        early = self._early
        if early is not None and early.server_spoke:  # it is no HTTP and no TLS
            self._join(early)
            return
        kind = classify(self._data)
        if kind == HTTP1 and self._undeclared:
            kind = version(self._data)
            if kind == HTTP10 and self.pod.shared.accept_http10:
                kind = HTTP1
        if kind == UNDECIDED:
            return
        if kind not in (HTTP1, HTTP2):
            self._note_bypass(kind)
        if kind == TLS:
            name = server_name(self._data)
            if name is None and len(self._data) < MAX_HELLO:
                return  # more of the ClientHello is to come
            self._leave()
            decision = self.pod.decide_tls(self.frontend, name or "", self._address)
            start_tcp(self.pod, self.transport, decision, self.dialled, self._data, name or "")
        elif kind in (HTTP1, HTTP2):
            self._leave()
            serve_http(Session(self.pod, self.transport, self.frontend, self.dialled), self.transport, self._data)
        elif early is not None:
            self._join(early)
        else:
            self._leave()
            start_tcp(self.pod, self.transport, self._decide(), self.dialled, self._data, "")

    def _note_bypass(self, kind: int) -> None:
        """Count a connection that passes by the HTTP rules of its port, since it speaks something else."""
        frontend = self.frontend
        if frontend is not None and frontend.http_rules and frontend.service is not None:
            spoken = {TLS: "tls", HTTP10: "http/1.0"}.get(kind, "tcp")
            self.pod.shared.telemetry.bypasses.add((frontend.service.host, frontend.port, spoken))

    def ended(self) -> None:
        early = self._early
        if early is not None:
            self._join(early).client.ended()
        elif self._data or (self._may_be_tcp and self._failure is None):  # half-closed: only TCP does that
            self._leave()
            relay = start_tcp(self.pod, self.transport, self._decide(), self.dialled, self._data, "")
            if relay is not None:
                relay.client.ended()
        else:
            self._close()

    def drained(self) -> None:
        relay = self._early.relay if self._early is not None else None
        if relay is not None:
            relay.client.drained()

    def lost(self, error: OSError) -> None:
        relay = self._early.relay if self._early is not None else None
        if relay is not None:
            relay.client.lost(error)
        else:
            self._close()

    @property
    def idle(self) -> bool:
        return self._early is None

    def drain(self) -> None:
        """A fresh connection may have its first bytes on the way: it stays until they have been answered."""

    def early_failed(self, record: ConnectionRecord) -> None:
        """Nobody is there. What the client may yet say can lead elsewhere, so that it gets some time to speak."""
        self._early = None
        self._failure = record
        self.pod.connections[self] = None
        self._timer = self.pod.shared.clock.after(PATIENCE, self._give_up)

    def _silent(self) -> None:
        """The client waits: so does, perhaps, the server's greeting."""
        self._timer = None
        if self._data:
            self._timer = self.pod.shared.clock.after(PATIENCE, self._settle)
            return
        self._early = start_early(self.pod, self.transport, self._foresee(), self.dialled, self)
        if self._early is not None:
            self._hand_over()
            self.transport.handler = self
            self.transport.bulk = False

    def _settle(self) -> None:
        """What has been said for so long decides: HTTP has a timeout of its own, all else is TCP."""
        self._timer = None
        self._leave()
        if classify(self._data) == HTTP1:
            serve_http(Session(self.pod, self.transport, self.frontend, self.dialled), self.transport, self._data)
        else:
            start_tcp(self.pod, self.transport, self._decide(), self.dialled, self._data, "")

    def _give_up(self) -> None:
        """Neither has the client spoken, nor is there a server that might."""
        self._timer = None
        self._count(-self._held)
        assert self._failure is not None
        self._hand_over()
        give_up(self.pod, self.transport, self._failure)

    def _decide(self) -> Decision:
        """What its port's rules say of plain TCP; at a gateway only TLS and HTTP lead anywhere."""
        frontend = self.frontend
        return self.pod.decide_tls(None, "") if frontend is None else self.pod.decide_tcp(frontend, self._address)

    def _foresee(self) -> Decision:
        """The same, of a connection of which it is not settled yet that it is TCP."""
        pod, frontend = self.pod, self.frontend
        if frontend is None:
            return pod.view.tls_gateway(pod.gateway_port, "")
        return pod.view.tcp(frontend, self._address)

    @property
    def _undeclared(self) -> bool:
        """Whether nobody has said that the port is HTTP's."""
        return self.frontend is not None and self.frontend.protocol is Protocol.AUTO

    @property
    def _address(self) -> str:
        """The dialled one."""
        return self.dialled[0] if self.dialled is not None else ""

    def _count(self, size: int) -> None:
        """Tell the pod's gate what is kept here."""
        self._held += size
        self.transport.gate.change_held(size)

    def _join(self, early: EarlyConnection) -> Relay:
        """It is TCP, and its relay stands already."""
        if self.pod.taps:
            self._decide()
        self._count(-self._held)
        self._early = None
        relay = early.join(self.transport)
        if self._data:
            relay.client.received(self._data)
        return relay

    def _leave(self) -> None:
        """Someone else takes the connection; one that was made in vain is undone."""
        self._count(-self._held)
        if self._early is not None:
            self._early.release()
            self._early = None
        self._stop_timer()
        self._hand_over()

    def _hand_over(self) -> None:
        """Another handler is the connection's owner in its pod from now on."""
        self.pod.connections.pop(self, None)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.pod.shared.clock.cancel(self._timer)
            self._timer = None

    def _close(self) -> None:
        self._count(-self._held)
        self._stop_timer()
        self.transport.close()
        self.pod.forget(self)
