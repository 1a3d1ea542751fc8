"""A socket as the loop, its lane and its flow know it."""

from __future__ import annotations

from ..transport import Transport
from .pipes import Pipe


class Served(Transport):
    """`error` is what a write has met: what the peer sent before is still read. `portion` is what one read takes at
    most: less, where reading is dear."""

    __slots__ = ("fd", "error", "portion")

    fd: int
    error: OSError | None
    portion: int

    def ready(self, mask: int) -> None:
        """Serve one event of epoll."""
        raise NotImplementedError

    def due(self, mask: int) -> int:
        """Which of these events of an earlier turn are still waited for."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what waits for its batch."""
        raise NotImplementedError

    def stood(self) -> None:
        """The outgoing connection stands: tell so."""
        raise NotImplementedError

    def pour(self, pipe: Pipe) -> None:
        """Write what the pipe holds, now or as the peer takes it; nothing else is waiting."""
        raise NotImplementedError

    def stream(self, streaming: bool) -> None:
        """Be watched with the pod's streams, or with its other sockets."""
        raise NotImplementedError

    @property
    def spliceable(self) -> bool:
        """Whether what comes can be moved by splice(2)."""
        return True
