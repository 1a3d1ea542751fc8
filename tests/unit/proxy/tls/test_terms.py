"""What a handshake is made with is no matter of what it is put on: here on sockets, elsewhere on buffers in memory."""

import socket
import ssl
import threading
from contextlib import suppress

import pytest

from nodemesh.bounded import Bounded
from nodemesh.config.gateway import ServerTLSMode, ServerTLSSettings
from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.context import ContextSource, client_context, server_context
from nodemesh.proxy.tls.terms import ClientTerms, ServerTerms
from nodemesh.proxy.tls.transport import Terms
from nodemesh.routing.decision import UpstreamTls


@pytest.fixture(scope="module")
def authority():
    return Authority()


def contexts(authority: Authority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    mine, yours = authority.issue("client.example"), authority.issue("shop.example")
    ours, theirs = ((pair.certificate, pair.key) for pair in (mine, yours))
    client = client_context(
        UpstreamTls(mode="MUTUAL", ca_certificates="/ca"),
        ContextSource((ours,), authority.certificate),
        "",
    )
    server = server_context(
        ServerTLSSettings(mode=ServerTLSMode.MUTUAL),
        ContextSource((theirs,), authority.certificate),
    )
    return client, server


def on(sock: socket.socket, terms: Terms) -> ssl.SSLSocket:
    """A handshake with these terms on a socket."""
    return terms.context.wrap_socket(
        sock, server_side=terms.server, server_hostname=terms.name, session=terms.session()
    )


@pytest.mark.parametrize(
    ("wanted", "objection"),
    [
        (("shop.example",), ""),
        ((), ""),
        (("other.example",), "the certificate is for shop.example, not for other.example"),
    ],
)
def test_both_ends_on_sockets(authority, wanted, objection):
    calling, answering = contexts(authority)
    sessions = Bounded(4)
    ours, theirs = socket.socketpair()
    asked = ServerTerms(answering, ("client.example",))
    done = []

    def answer() -> None:
        with on(theirs, asked) as secure:
            secure.sendall(b"hello")
            done.append(asked.objection(secure))
            with suppress(BrokenPipeError):  # the other end may have left
                secure.recv(1)

    thread = threading.Thread(target=answer)
    thread.start()
    terms = ClientTerms(calling, "shop.example", wanted, sessions)
    with on(ours, terms) as secure:
        assert secure.recv(5) == b"hello"
        assert terms.objection(secure) == objection
        terms.remember(secure)
    thread.join(5)
    assert done == [""]
    assert terms.session() is not None and terms.session() is sessions.found["shop.example"]
