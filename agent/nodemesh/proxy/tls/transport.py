"""TLS as a transport over a transport: OpenSSL between two buffers in memory, so that loop and simulator stay as they
are.

The lower transport carries records, the upper handler sees plain text. The handshake starts when the lower connection
is established; what the handler sends before the handshake's end waits."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any, Final

from mypy_extensions import mypyc_attr

from ..layered import Layered, Lower
from ..transport import Buffer, Handler, Secured, Transport

#: More than a record's 16 KiB of plain text (RFC 8446 section 5.1) is never returned by one read.
RECORD: Final = 16 * 1024

#: Plain text that is handed on at once.
BULK_SIZE: Final = 256 * 1024

#: Holds it for one call of `Handler.received`, as each buffer of a transport in bulk (`transport.Buffer`); a worker has
#: one thread.
_plain: Final = memoryview(bytearray(BULK_SIZE))

# How far what the peer sends is.
SHAKING: Final = 0  # the handshake is under way
FRESH: Final = 1  # it is done, and no plain text has come yet
OPEN: Final = 2
CUT: Final = 3  # the peer's FIN has come: what is held back comes before the end
BROKEN: Final = 4  # a record was refused: the text before it comes first, then the failure
OVER: Final = 5  # the handler knows that nothing more comes

#: What may follow each state; all changes go through `TlsTransport._enter`. Closing needs none of them.
NEXT: Final[dict[int, frozenset[int]]] = {
    SHAKING: frozenset({FRESH}),
    FRESH: frozenset({OPEN, CUT, BROKEN, OVER}),
    OPEN: frozenset({CUT, BROKEN, OVER}),
    CUT: frozenset({BROKEN, OVER}),
    BROKEN: frozenset(),
    OVER: frozenset(),
}


@mypyc_attr(native_class=False)
class TlsError(OSError):
    """A handshake or a record failed; the text is Envoy's `TLS_error:` with OpenSSL's words, or ours."""

    def __init__(self, text: str) -> None:
        super().__init__(f"TLS_error: {text}")


@mypyc_attr(allow_interpreted_subclasses=True)
class Terms:
    """What a handshake is made with: `context` has certificates and versions, `server` says which end it is, `name` is
    the server's that is asked for. What they are put on, two buffers here or a socket, is no matter to them."""

    __slots__ = ("context", "server", "name")

    def __init__(self, context: ssl.SSLContext, server: bool, name: str | None = None) -> None:
        self.context = context
        self.server = server
        self.name = name

    def session(self) -> ssl.SSLSession | None:
        """The session to resume, if there is one."""
        return None

    def objection(self, connection: Secured) -> str:
        """After the handshake: why this peer is not the one that is wanted; empty if it is."""
        return ""

    def remember(self, connection: Secured) -> None:
        """The first plain text has come: the session can be resumed by now."""


class TlsTransport(Layered):
    """One end of a TLS connection. `lower` is given by `attach`, or comes with what it has received already by
    `adopt`. Making one raises ValueError for an impossible server name."""

    __slots__ = (
        "connection", "_terms", "_incoming", "_outgoing", "_state", "_handing_on", "_failure",
    )  # fmt: skip

    def __init__(self, handler: Handler, terms: Terms) -> None:
        super().__init__(handler)
        self._terms = terms
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.connection = terms.context.wrap_bio(
            self._incoming, self._outgoing, terms.server, terms.name, terms.session()
        )
        self._state = SHAKING
        self._handing_on = False  # at this moment: what the handler does may bring more
        self._failure: TlsError | None = None  # of BROKEN

    def attach(self, lower: Transport) -> None:
        super().attach(lower)
        lower.bulk = True  # records are copied into OpenSSL's buffer anyway

    def adopt(self, lower: Transport, data: bytes) -> None:
        """Have an established connection and the bytes that it has brought so far."""
        lower.handler = Lower(self)
        self.attach(lower)
        self.arrived(data)

    # what the proxy calls

    @property
    def security(self) -> Secured | None:
        return self.connection

    def resume(self) -> None:
        if not self._paused:
            return
        if self.established and not self.closed:
            self.later(self._hand_on)  # what is deciphered already comes on a later turn
        super().resume()

    def close(self) -> None:
        if self.established and not self._ending and not self.closed:
            self._notify()
        super().close()

    # what the lower connection tells

    def opened(self) -> None:
        if not self.closed:
            self._shake()

    def arrived(self, data: Buffer) -> None:
        if self.closed:
            return
        self._incoming.write(data)
        if not self.established:
            self._shake()
        else:
            self._hand_on()

    def cut(self) -> None:
        """Without a close_notify before it the text may be cut short: what has no other end than the connection's is
        the handler's to judge, as with Envoy."""
        if self.closed or self._state == OVER:
            return
        if self._state == SHAKING:
            self.fail(TlsError("the peer closed the connection during the handshake"))
            return
        if self._state < CUT:
            self._enter(CUT)
        self._hand_on()

    # OpenSSL

    def _shake(self) -> None:
        """One step of the handshake."""
        try:
            self.connection.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert
            self.fail(TlsError(words_of(error)))
            return
        objection = self._terms.objection(self.connection)
        if objection:
            self.fail(TlsError(objection))
            return
        self._flush()
        self._enter(FRESH)
        self._establish()

    def _hand_on(self) -> None:
        if self._handing_on:
            return
        self._handing_on = True
        try:
            while not self._paused and not self.closed and self._state != OVER:
                data = self._decipher()
                if data is None:
                    if self._state != CUT:
                        break
                    data = b""
                if not data:
                    self._enter(OVER)
                    self.handler.ended()
                else:
                    self.handler.received(data)
        finally:
            self._handing_on = False
        if self._failure is not None and not self._paused:
            self.fail(self._failure)

    def _decipher(self) -> Buffer | None:
        """The next plain text, that of many records together where nobody keeps it; empty at the peer's close_notify,
        None where more records are needed."""
        if self._state == BROKEN:
            return None
        size = 0
        read_into: Any = self.connection.read  # with a buffer, how much is in it
        try:
            if not self.bulk:
                return self._plain_text(self.connection.read(RECORD))
            while size <= BULK_SIZE - RECORD:
                got: int = read_into(RECORD, _plain[size:])
                if not got:
                    break
                size += got
        except ssl.SSLWantReadError:
            if not size:
                self._flush()  # a key update's answer
                return None
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError as error:
            self._flush()
            self._failure = TlsError(words_of(error))
            self._enter(BROKEN)
            if not size:
                return None
        return self._plain_text(_plain[:size])

    def _plain_text(self, data: Buffer) -> Buffer:
        if self._state == FRESH and data:
            self._enter(OPEN)
            self._terms.remember(self.connection)
        return data

    def _enter(self, state: int) -> None:
        assert state in NEXT[self._state], f"TLS in state {self._state} cannot become {state}"
        self._state = state

    def _write(self, data: Buffer) -> None:
        view = memoryview(data)
        try:
            while view:
                written = self.connection.write(view)
                view = view[written:]
        except ssl.SSLError:
            return  # the connection is broken: reading tells
        self._flush()

    def _finish(self) -> None:
        self._notify()
        assert self.lower is not None
        self.lower.end()

    def _notify(self) -> None:
        """Send a close_notify; what the peer still sends can be read. Python's `unwrap` would look for the peer's own
        at once and break the connection where there is text before it: nothing is there for as long as it looks."""
        unread = self._incoming.read()
        with suppress(ssl.SSLError):
            self.connection.unwrap()
        self._incoming.write(unread)
        self._flush()

    def _flush(self) -> None:
        """Send the records that OpenSSL has made."""
        lower = self.lower
        if self._outgoing.pending and lower is not None:
            lower.send(self._outgoing.read())
            if self.established:
                self.pending = lower.pending


def words_of(error: ssl.SSLError) -> str:
    """What OpenSSL says, without Python's file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")
