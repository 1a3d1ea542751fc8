"""TLS in the simulator: OpenSSL at both ends of connections in memory, with certificates of an authority that is made
for it. Trust is not simulated: every name of a file or Secret in a rule leads to these."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from ..config.gateway import ServerTLSMode, ServerTLSSettings
from ..proxy.tls.certificates import Certificates
from ..proxy.tls.context import ContextSource, with_file
from ..routing.decision import UpstreamTls
from .pipe import Peer

if TYPE_CHECKING:
    from ..lab.certificates import Authority


class Simulated(Certificates):
    """A worker's contexts: each side has a certificate of the authority, and trusts that alone. All of it is made when
    the first connection needs it."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, ssl.SSLContext] = {}
        self._clients: dict[str, ssl.SSLContext] = {}

    @cached_property
    def _authority(self) -> Authority:
        from ..lab.certificates import Authority  # with it comes all of the lab

        return Authority("simulated")

    @cached_property
    def _source(self) -> ContextSource:
        pair = self._authority.issue("simulated")
        return ContextSource(((pair.certificate, pair.key),), self._authority.certificate)

    @cached_property
    def _pair(self) -> bytes:
        return b"".join(self._source.pairs[0])

    @cached_property
    def _upstream(self) -> ssl.SSLContext:
        context = self._ending(self._pair)
        context.sni_callback = self._choose
        return context

    def client(self, alpn: str) -> ssl.SSLContext:
        """A client's end."""
        context = self._clients.get(alpn)
        if context is None:
            context = self._clients[alpn] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.load_verify_locations(cadata=self._authority.certificate.decode())
            context.set_alpn_protocols([alpn])
            self._load(context, self._pair)
        return context

    def server(self) -> ssl.SSLContext:
        """An upstream's end. Its certificate is for whichever name it is asked for."""
        return self._upstream

    def _ending(self, pair: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self._load(context, pair)
        return context

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        if not name:
            return
        known = self._names.get(name)
        if known is None:
            pair = self._authority.issue(name)
            known = self._names[name] = self._ending(pair.certificate + pair.key)
        connection.context = known

    def _client_source(self, tls: UpstreamTls) -> ContextSource:
        return self._source if tls.mode == "MUTUAL" else self._source._replace(pairs=())

    def _server_source(self, tls: ServerTLSSettings, namespace: str) -> ContextSource:
        if tls.mode is ServerTLSMode.ISTIO_MUTUAL:
            return super()._server_source(tls, namespace)
        return self._source

    @staticmethod
    def _load(context: ssl.SSLContext, pair: bytes) -> None:
        with_file(pair, context.load_cert_chain)


class TlsLine:
    """A peer behind TLS: what is taken and sent is plain text. `step` after something has come."""

    def __init__(self, peer: Peer, context: ssl.SSLContext, name: str | None = None, *, server: bool = False) -> None:
        self.peer = peer
        self.ready = False
        self.ended = False
        self.broken = ""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._connection = context.wrap_bio(self._incoming, self._outgoing, server, name)
        self._text = b""
        self._waiting = b""

    @property
    def alpn(self) -> str:
        return self._connection.selected_alpn_protocol() or ""

    @property
    def closed(self) -> bool:
        return self.ended or self.peer.closed

    def step(self, data: bytes) -> None:
        """Read what has come, and answer as the protocol wants it."""
        self._incoming.write(data)
        try:
            with suppress(ssl.SSLWantReadError):
                if not self.ready:
                    self._connection.do_handshake()
                    self.ready = True
                    if self._waiting:
                        self._connection.write(self._waiting)
                    self._waiting = b""
                while data := self._connection.read(1 << 16):
                    self._text += data
                self.ended = True
        except ssl.SSLError as error:
            self.broken = error.reason or str(error)
        self._flush()

    def send(self, data: bytes) -> None:
        if not self.ready:
            self._waiting += data
            return
        self._connection.write(data)
        self._flush()

    def end(self) -> None:
        with suppress(ssl.SSLError):
            self._connection.unwrap()
        self._flush()
        self.peer.end()

    def reset(self) -> None:
        self.peer.reset()

    def take(self) -> bytes:
        taken, self._text = self._text, b""
        return taken

    def _flush(self) -> None:
        self.peer.send(self._outgoing.read())
