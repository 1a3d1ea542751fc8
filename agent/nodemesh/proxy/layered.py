"""A transport over a transport, whatever is done in between: the connection inside a TLS connection, or in a tunnel.

The lower connection comes first. Until what is done on it has succeeded, what the handler sends waits; from then on
this end is established. `Lower` is the lower connection's handler: what it hears, it passes on to this end."""

from __future__ import annotations

from collections.abc import Callable

from .transport import Buffer, Handler, Transport


class Layered(Transport):
    """One end of the connection inside. `lower` is given by `attach`."""

    __slots__ = ("lower", "_early", "_paused", "_ending")

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.lower: Transport | None = None
        self._early: list[bytes] = []  # sent before this end was established
        self._paused = False
        self._ending = False  # we send no more

    def attach(self, lower: Transport) -> None:
        """Have a connection that is under way; its handler is `Lower` of this."""
        self.lower = lower
        self.local = lower.local
        self.remote = lower.remote
        self.accepted = lower.accepted
        self.peer = lower.peer
        self.gate = lower.gate

    # what the proxy calls

    def send(self, data: Buffer) -> None:
        if self.closed or self._ending:
            return
        if not self.established:
            self._early.append(bytes(data))
            self.pending += len(data)
            return
        self._write(data)

    def prompt(self) -> None:
        if self.lower is not None:
            self.lower.prompt()

    @property
    def stale(self) -> bool:
        return self.lower is not None and self.lower.stale

    def later(self, callback: Callable[[], None]) -> None:
        assert self.lower is not None
        self.lower.later(callback)

    def pause(self) -> None:
        self._paused = True
        if self.established and self.lower is not None:
            self.lower.pause()

    def resume(self) -> None:
        self._paused = False
        if self.established and not self.closed and self.lower is not None:
            self.lower.resume()

    def end(self) -> None:
        self._ending = True
        if self.established and not self.closed:
            self._finish()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self.lower is not None:
            self.lower.close()

    def abort(self) -> None:
        if self.closed:  # its last words may still be on their way
            return
        self.closed = True
        if self.lower is not None:
            self.lower.abort()

    # what the lower connection tells

    def opened(self) -> None:
        """The lower connection is established."""
        raise NotImplementedError

    def arrived(self, data: Buffer) -> None:
        """Bytes of the lower connection have come."""
        raise NotImplementedError

    def cut(self) -> None:
        """The peer's FIN has come."""
        raise NotImplementedError

    def written(self) -> None:
        """The lower connection has written everything."""
        self.pending = sum(map(len, self._early))
        if self.established and not self.closed:
            self.handler.drained()

    def fail(self, error: OSError) -> None:
        """The connection is lost."""
        if self.closed:
            return
        self.closed = True
        if self.lower is not None:
            self.lower.close()
        self.handler.lost(error)

    # what is done in between

    def _establish(self) -> None:
        """The connection inside is made: send what has waited, and hand on what has come."""
        lower = self.lower
        assert lower is not None
        self.established = True
        if self._paused:
            lower.pause()
        early, self._early = self._early, []
        self.pending = lower.pending
        for data in early:
            self._write(data)
        if self._ending:
            self.end()
        self.handler.connected()
        if not self.closed:
            self._hand_on()
        if early and not self.pending and not self.closed:
            self.handler.drained()

    def _write(self, data: Buffer) -> None:
        """Send the handler's bytes by the lower connection."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Say that nothing more will be sent, after what was."""
        raise NotImplementedError

    def _hand_on(self) -> None:
        """Give the handler what has come for it."""
        raise NotImplementedError


class Lower(Handler):
    """The lower connection's handler."""

    __slots__ = ("upper",)

    def __init__(self, upper: Layered) -> None:
        self.upper = upper

    @property
    def idle(self) -> bool:
        return self.upper.handler.idle

    def connected(self) -> None:
        self.upper.opened()

    def received(self, data: Buffer) -> None:
        self.upper.arrived(data)

    def ended(self) -> None:
        self.upper.cut()

    def prompted(self) -> None:
        self.upper.handler.prompted()

    def drained(self) -> None:
        self.upper.written()

    def lost(self, error: OSError) -> None:
        self.upper.fail(error)
