"""Connections to a gateway's TLS ports: the ClientHello's name chooses the server, which ends TLS or passes it on."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...routing.gateways import GatewayServer
from ..clock import Timer
from ..http.security import Security
from ..http.session import Session
from ..pod import Pod
from ..tcp.connection import start_tcp
from ..tcp.refusal import turn_away
from ..tls.client_hello import HANDSHAKE, MAX_HELLO, server_name
from ..tls.peer import forwarded_certificate
from ..tls.transport import TlsError, TlsTransport
from ..transport import Buffer, Handler, Secured, Transport
from .http import serve_http

#: Seconds for ClientHello and handshake (Istio's listener filters have 15 s, too).
HANDSHAKE_TIMEOUT: Final = 15.0


class Arrival(Handler):
    """A connection until it is known where it goes: reads the ClientHello, makes the handshake, hands over."""

    __slots__ = ("pod", "transport", "_data", "_name", "_server", "_timer", "_held")

    def __init__(self, pod: Pod, transport: Transport) -> None:
        self.pod = pod
        self.transport = transport
        self._data = b""  # the ClientHello as far as it has come
        self._held = 0  # bytes of it that the gate knows of
        self._name = ""
        self._server: GatewayServer | None = None  # chosen
        self._timer: Timer = pod.shared.clock.after(HANDSHAKE_TIMEOUT, self._late)
        transport.handler = self
        pod.connections[self] = None

    def received(self, data: Buffer) -> None:
        self._data += data
        self.transport.gate.change_held(len(data))
        self._held += len(data)
        if not HANDSHAKE.startswith(self._data[:2]) and not self._data.startswith(HANDSHAKE):
            self._refuse(Reason.DOWNSTREAM_PROTOCOL_ERROR, "no TLS on a port for TLS")
            return
        name = server_name(self._data)
        if name is None and len(self._data) < MAX_HELLO:
            return
        self._name = name or ""
        self._choose()

    def connected(self) -> None:
        """The handshake is done."""
        server, transport, pod = self._server, self.transport, self.pod
        connection = transport.security
        assert server is not None and connection is not None
        self._leave()
        if server.is_http:
            security = Security(self._name, shown_certificate(connection), connection)
            session = Session(pod, transport, None, None, security)
            serve_http(session, transport, alpn=connection.selected_alpn_protocol() or "")
        else:
            decision = pod.decide_tcp(None, "", self._name)
            start_tcp(pod, transport, decision, None, b"", self._name)

    def ended(self) -> None:
        self._refuse(Reason.DOWNSTREAM_CONNECTION_TERMINATION, "")

    def lost(self, error: OSError) -> None:
        broken = isinstance(error, TlsError)
        reason = Reason.DOWNSTREAM_PROTOCOL_ERROR if broken else Reason.DOWNSTREAM_CONNECTION_TERMINATION
        self._refuse(reason, str(error) if broken else "")

    @property
    def idle(self) -> bool:
        return True

    def drain(self) -> None:
        if not self._data:
            self._leave()
            self.transport.close()
            self.pod.release()

    def describe(self) -> dict[str, str]:
        return {"protocol": "TLS", "client": self.transport.remote, "sni": self._name}

    def _choose(self) -> None:
        """The server for the name; nobody has it: close."""
        pod, transport, data = self.pod, self.transport, self._data
        server = pod.view.gateway_server(pod.gateway_port, self._name)
        if server is None:
            self._refuse(Reason.HOST_NOT_FOUND, "")
            return
        if not server.terminates or server.tls is None:
            self._leave()
            start_tcp(pod, transport, pod.decide_tls(None, self._name), None, data, self._name)
            return
        shared = pod.shared
        try:
            terms = shared.certificates.server_terms(server.tls, server.credential_namespace)
        except TlsError as error:
            self._refuse(Reason.DOWNSTREAM_PROTOCOL_ERROR, str(error))
            return
        self._server = server
        secure = TlsTransport(self, terms)
        self.transport = secure
        secure.adopt(transport, data)

    def _late(self) -> None:
        self._refuse(Reason.DOWNSTREAM_PROTOCOL_ERROR, "the handshake took too long")

    def _leave(self) -> None:
        """Someone else takes the connection."""
        self.transport.gate.change_held(-self._held)
        self._held = 0
        self.pod.shared.clock.cancel(self._timer)
        self.pod.connections.pop(self, None)

    def _refuse(self, reason: Reason, detail: str) -> None:
        self._leave()
        turn_away(self.pod, self.transport, reason, detail, self._name)
        self.pod.release()


def shown_certificate(connection: Secured) -> bytes:
    der = connection.getpeercert(True)
    return forwarded_certificate(der) if der else b""
