"""A connection that cannot be made, since there is no certificate, no descriptor, or nobody at that address."""

from __future__ import annotations

import errno
from typing import Final

from .clock import Clock
from .gate import Gate
from .transport import Buffer, Handler, Transport

#: What a connection is not made for want of, on this side: the endpoint has no part in it.
SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})


class Doomed(Transport):
    """Takes whatever is sent there, and tells of the failure on a later turn, as all failures are told."""

    __slots__ = ("_error",)

    def __init__(self, handler: Handler, clock: Clock, gate: Gate, error: OSError) -> None:
        super().__init__(handler)
        self.gate = gate
        self._error = error
        clock.after(0.0, self._tell)

    def _tell(self) -> None:
        if not self.closed:
            self.closed = True
            self.handler.lost(self._error)

    def send(self, data: Buffer) -> None:
        pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def end(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True
