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
from ..transport import Buffer, Handler, Transport

#: More than a record's 16 KiB of plain text (RFC 8446 section 5.1) is never returned by one read.
RECORD: Final = 16 * 1024

#: Plain text that is handed on at once.
BULK_SIZE: Final = 256 * 1024

#: Where it stands meanwhile: a worker has one thread, and nobody keeps it longer than `Handler.received` takes.
_plain: Final = memoryview(bytearray(BULK_SIZE))


@mypyc_attr(native_class=False)
class TlsError(OSError):
    """A handshake or a record failed; the text is Envoy's `TLS_error:` with OpenSSL's words, or ours."""

    def __init__(self, text: str) -> None:
        super().__init__(f"TLS_error: {text}")


@mypyc_attr(allow_interpreted_subclasses=True)
class Terms:
    """What a handshake is made with: certificates, names, versions."""

    __slots__ = ()

    def begin(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """A new connection on these buffers. Raises ValueError for an impossible server name."""
        raise NotImplementedError

    def objection(self, connection: ssl.SSLObject) -> str:
        """After the handshake: why this peer is not the one that is wanted; empty if it is."""
        return ""

    def remember(self, connection: ssl.SSLObject) -> None:
        """The first plain text has come: the session can be resumed by now."""


class TlsTransport(Layered):
    """One end of a TLS connection. `lower` is given by `attach`, or comes with what it has received already by
    `adopt`."""

    __slots__ = (
        "connection", "_terms", "_incoming", "_outgoing", "_over", "_cut", "_remembered", "_pumping",
        "_failure",
    )  # fmt: skip

    def __init__(self, handler: Handler, terms: Terms) -> None:
        super().__init__(handler)
        self._terms = terms
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.connection = terms.begin(self._incoming, self._outgoing)
        self._over = False  # the handler knows that the peer will send no more
        self._cut = False  # the peer's FIN has come
        self._remembered = False
        self._pumping = False
        self._failure: TlsError | None = None  # what the handler hears after the text before it

    def attach(self, lower: Transport) -> None:
        super().attach(lower)
        lower.bulk = True  # records are copied into OpenSSL's buffer anyway

    def adopt(self, lower: Transport, data: bytes) -> None:
        """Have an established connection and the bytes that it has brought so far."""
        lower.handler = Lower(self)
        self.attach(lower)
        self.arrived(data)

    # what the proxy calls

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
        if self.closed or self._over:
            return
        if not self.established:
            self.fail(TlsError("the peer closed the connection during the handshake"))
            return
        self._cut = True
        self._hand_on()  # what is held back comes before the end

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
        self._establish()

    def _hand_on(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._paused and not self.closed and not self._over:
                data = self._decipher()
                if data is None:
                    if not self._cut or self._failure is not None:
                        break
                    data = b""
                if not data:
                    self._over = True
                    self.handler.ended()
                else:
                    self.handler.received(data)
        finally:
            self._pumping = False
        if self._failure is not None and not self._paused:
            self.fail(self._failure)

    def _decipher(self) -> Buffer | None:
        """The next plain text, that of many records together where nobody keeps it; empty at the peer's close_notify,
        None where more records are needed."""
        if self._failure is not None:
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
            if not size:
                return None
        return self._plain_text(_plain[:size])

    def _plain_text(self, data: Buffer) -> Buffer:
        if not self._remembered and data:
            self._remembered = True
            self._terms.remember(self.connection)
        return data

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
