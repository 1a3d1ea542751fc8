"""A request's body as far as it is kept: until there is an upstream to take it, and then for another try."""

from __future__ import annotations

from typing import Final

from ..gate import Copy, Gate
from ..transport import Buffer

#: What is kept of a body for retries: Envoy's per_connection_buffer_limit_bytes.
KEPT: Final = 1024 * 1024


class RequestBody(Copy):
    """`whole` tells that everything since the body's first byte is here, so that it may be sent again. `complete` that
    the client has sent all of it. What is kept counts at the pod's gate: whoever has a body forgets it in the end."""

    __slots__ = ("whole", "complete", "trailers", "size", "gate", "_pieces")

    def __init__(
        self, gate: Gate, data: Buffer = b"", complete: bool = False, trailers: list[bytes] | None = None
    ) -> None:
        self.gate = gate
        self.whole = True
        self.complete = complete
        self.trailers = [] if trailers is None else trailers
        self.size = 0  # bytes kept here
        self._pieces: list[bytes] = []
        if data:
            self.hold(data)

    @property
    def full(self) -> bool:
        """Whether no more should be read while there is no upstream."""
        return self.size >= KEPT

    def hold(self, data: Buffer) -> None:
        """Keep what cannot be sent yet."""
        self._pieces.append(data if isinstance(data, bytes) else bytes(data))
        self.size += len(data)
        self.gate.change_held(len(data))

    def passed(self, data: Buffer) -> None:
        """This was sent on: keep a copy while that may still serve, and the pod has room for it."""
        if not self.whole:
            return
        if self.size + len(data) > KEPT or self.gate.crowded:
            self.forget()
        else:
            self.gate.copies[self] = None
            self.hold(data)

    def take(self) -> bytes:
        """Everything kept so far, to be sent (again)."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def sent(self) -> None:
        """An upstream has taken everything: what is kept is a copy from here on."""
        if self.gate.crowded:
            self.forget()
        elif self.size:
            self.gate.copies[self] = None

    def need(self) -> None:
        """The upstream that took it has gone: what is kept is no mere copy now."""
        self.gate.copies.pop(self, None)

    def forget(self) -> None:
        """It will not be sent again."""
        self.whole = False
        self.gate.copies.pop(self, None)
        self._pieces.clear()
        size, self.size = self.size, 0
        if size:
            self.gate.change_held(-size)
