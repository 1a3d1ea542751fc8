"""What a peer did wrong, and the status that tells it so."""

from __future__ import annotations


class ProtocolError(Exception):
    """The peer broke HTTP. `status` is the answer to a client; an upstream's breach is always a 502."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
