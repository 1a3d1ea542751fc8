"""A request's body as far as it is kept: until there is an upstream to take it, and then for another try."""

from __future__ import annotations

from typing import Final

from ..gate import Copy, Gate
from ..transport import Buffer

#: A body up to this size, in one piece, is part of its request, whose number is bounded: no account is kept of it.
SMALL: Final = 256

#: What comes in smaller pieces is put together, so that their number is bounded by their bytes.
PIECE: Final = 4096

#: What is kept of a body for retries: Envoy's per_connection_buffer_limit_bytes.
KEPT: Final = 1024 * 1024


class RequestBody(Copy):
    """`whole` tells that everything since the body's first byte is here, so that it may be sent again. `complete` that
    the client has sent all of it. What is kept counts at the pod's gate, but for SMALL ones: whoever has a body forgets
    it in the end."""

    __slots__ = ("whole", "complete", "trailers", "size", "counted", "gate", "_pieces", "_tail")

    def __init__(
        self, gate: Gate, data: Buffer = b"", complete: bool = False, trailers: list[bytes] | None = None
    ) -> None:
        self.gate = gate
        self.whole = True
        self.complete = complete
        self.trailers = [] if trailers is None else trailers
        self.size = 0  # bytes kept here
        self.counted = 0  # of which the gate knows: where there are none, it need not be told
        self._pieces: list[bytes] = []
        self._tail: bytearray | None = None  # small pieces behind these
        size = len(data)
        if size > SMALL:
            self.hold(data)
        elif size:
            self._pieces.append(data if isinstance(data, bytes) else bytes(data))
            self.size = size

    @property
    def full(self) -> bool:
        """Whether no more should be read while there is no upstream."""
        return self.size >= KEPT

    def hold(self, data: Buffer) -> None:
        """Keep what cannot be sent yet."""
        size = len(data)
        if not self.size or size >= PIECE:
            if self._tail is not None:
                self._close_tail(self._tail)
            self._pieces.append(data if isinstance(data, bytes) else bytes(data))
        else:
            tail = self._tail
            if tail is None:
                tail = self._tail = bytearray()
            tail += data
            if len(tail) >= PIECE:
                self._close_tail(tail)
        self.size += size
        if self.size > SMALL or self.size > size:
            more, self.counted = self.size - self.counted, self.size
            self.gate.change_held(more)

    def _close_tail(self, tail: bytearray) -> None:
        """What has come in small pieces is one."""
        self._pieces.append(bytes(tail))
        self._tail = None

    def passed(self, data: Buffer) -> None:
        """This was sent on: keep a copy while that may still serve, and the pod has room for it."""
        if not self.whole:
            return
        if self.size + len(data) > KEPT or self.gate.crowded:
            self.forget()
        else:
            self.hold(data)
            if self.counted:
                self.gate.copies[self] = None

    def take(self) -> bytes:
        """Everything kept so far, to be sent (again)."""
        if self._tail is not None:
            self._close_tail(self._tail)
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def sent(self) -> None:
        """An upstream has taken everything: what is kept is a copy from here on."""
        if self.counted:
            if self.gate.crowded:
                self.forget()
            else:
                self.gate.copies[self] = None

    def need(self) -> None:
        """The upstream that took it has gone: what is kept is no mere copy now."""
        if self.counted:
            self.gate.copies.pop(self, None)

    def forget(self) -> None:
        """It will not be sent again."""
        self.whole = False
        self._pieces.clear()
        self._tail = None
        self.size = 0
        counted, self.counted = self.counted, 0
        if counted:
            self.gate.copies.pop(self, None)
            self.gate.change_held(-counted)
