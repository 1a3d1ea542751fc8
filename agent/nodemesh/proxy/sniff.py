"""The first bytes of a connection decide what it is, where the port does not say: HTTP/1, HTTP/2, TLS, or plain TCP.

Nobody waits for anybody: a client that is silent for a moment may be waiting for its server's greeting, so that the
upstream connection is made meanwhile, and whoever speaks first is forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..routing.frontend import Frontend
from .client_hello import HANDSHAKE, MAX_HELLO, server_name
from .clock import Timer
from .downstream import Downstream
from .relay import Relay
from .tcp import start_tcp
from .transport import Buffer, Handler, Transport

if TYPE_CHECKING:
    from .pod import Pod

# What first bytes say.
UNDECIDED: Final = 0
HTTP1: Final = 1
HTTP2: Final = 2
TLS: Final = 3
TCP: Final = 4

METHODS: Final = (
    b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH ",
)  # fmt: skip

#: RFC 9113 section 3.4.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: Seconds a client may be silent before the upstream connection is made. Most that speak first do so with their SYN's
#: acknowledgement; the others cost one connection in vain.
SILENCE: Final = 0.005


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


class Sniffer(Handler):
    """Reads until it knows, then hands the connection over. `early` says that the port may belong to a protocol whose
    server speaks first."""

    __slots__ = ("pod", "transport", "frontend", "dialled", "_data", "_relay", "_timer")

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
        self._relay: Relay | None = None  # to the server that may speak first
        self._timer: Timer | None = pod.proxy.clock.after(SILENCE, self._silent) if early else None
        transport.handler = self
        pod.connections[self] = None

    def received(self, data: Buffer) -> None:
        self._data += data
        relay = self._relay
        if relay is not None and relay.upstream.count:  # the server has spoken: it is no HTTP and no TLS
            self._join(relay)
            return
        kind = classify(self._data)
        if kind == UNDECIDED:
            return
        if kind == TLS:
            name = server_name(self._data)
            if name is None and len(self._data) < MAX_HELLO:
                return  # more of the ClientHello is to come
            self._leave(True)
            address = self.dialled[0] if self.dialled is not None else ""
            decision = self.pod.decide_tls(self.frontend, name or "", address)
            start_tcp(self.pod, self.transport, decision, self.dialled, self._data, name or "")
        elif kind == HTTP1:
            self._leave(True)
            Downstream(self.pod, self.transport, self.frontend, self.dialled).received(self._data)
        elif relay is not None:
            self._join(relay)
        else:
            self._leave(False)
            self._start_tcp()

    def ended(self) -> None:
        relay = self._relay
        if relay is not None:
            self._join(relay)
            relay.client.ended()
        elif self._data or self._timer is not None:  # half-closed early: only TCP does that
            self._leave(False)
            relay = self._start_tcp()
            if relay is not None:
                relay.client.ended()
        else:
            self._close()

    def drained(self) -> None:
        if self._relay is not None:
            self._relay.client.drained()

    def lost(self, error: OSError) -> None:
        if self._relay is not None:
            self._relay.client.lost(error)
        else:
            self._close()

    def drain(self) -> None:
        """A fresh connection may have its first bytes on the way: it stays until they have been answered."""

    def _silent(self) -> None:
        """The client waits: so does, perhaps, the server's greeting."""
        self._timer = None
        if self._data:
            return
        self._stop()
        self._relay = self._start_tcp()
        if self._relay is not None:
            self.transport.handler = self
            self.transport.bulk = False

    def _start_tcp(self) -> Relay | None:
        """Relay it as its port's rules say; at a gateway only TLS and HTTP lead anywhere."""
        pod = self.pod
        frontend, dialled = self.frontend, self.dialled
        if frontend is None:
            decision = pod.decide_tls(None, "")
        else:
            decision = pod.view.tcp(frontend, dialled[0] if dialled is not None else "")
        return start_tcp(pod, self.transport, decision, self.dialled, self._data, "")

    def _join(self, relay: Relay) -> None:
        """It is TCP, and its relay stands already."""
        self._relay = None
        relay.client.take(self.transport)
        if self._data:
            relay.client.received(self._data)

    def _leave(self, undo: bool) -> None:
        """Someone else takes the connection; a relay that was made in vain is undone."""
        if self._relay is not None and undo:
            self._relay.release_client()
            self._relay = None
            return
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self.pod.proxy.clock.cancel(self._timer)
            self._timer = None
        self.pod.connections.pop(self, None)

    def _close(self) -> None:
        if self._timer is not None:
            self.pod.proxy.clock.cancel(self._timer)
            self._timer = None
        self.transport.close()
        self.pod.forget(self)
