"""The other end of a TLS connection in memory: OpenSSL played against the proxy."""

import os
import ssl
from contextlib import suppress

from nodemesh.lab.certificates import Pair
from nodemesh.sim.pipe import Peer


class TlsPeer:
    """Wraps a peer; `take` and `send` are plain text. Call `step` after the world ran, until nothing changes."""

    def __init__(
        self, peer: Peer, context: ssl.SSLContext, *, name: str | None = None, server: bool = False, session=None
    ):
        self.peer = peer
        self._incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.connection = context.wrap_bio(self._incoming, self.outgoing, server, name, session)
        self.text = b""
        self.ready = False
        self.ended = False

    def step(self) -> None:
        self._incoming.write(self.peer.take())
        with suppress(ssl.SSLWantReadError):
            if not self.ready:
                self.connection.do_handshake()
                self.ready = True
            while True:
                data = self.connection.read(1 << 16)
                if not data:
                    self.ended = True
                    break
                self.text += data
        self.flush()

    def flush(self) -> None:
        self.peer.send(self.outgoing.read())

    def send(self, data: bytes) -> None:
        self.connection.write(data)
        self.flush()

    def end(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.connection.unwrap()
        self.flush()

    def take(self) -> bytes:
        taken, self.text = self.text, b""
        return taken


def settle(world, *peers: TlsPeer) -> None:
    """Run until the handshakes are done and all text has come."""
    for _ in range(8):
        world.advance(0.002)
        for peer in peers:
            peer.step()


def server_context(pair: Pair, authority: bytes = b"") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, pair)
    if authority:
        context.load_verify_locations(cadata=authority.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(authority: bytes, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.decode())
    if pair is not None:
        load(context, pair)
    return context


def load(context: ssl.SSLContext, pair: Pair) -> None:
    fd = os.memfd_create("pair")
    os.write(fd, pair.certificate + pair.key)
    context.load_cert_chain(f"/proc/self/fd/{fd}")
    os.close(fd)
