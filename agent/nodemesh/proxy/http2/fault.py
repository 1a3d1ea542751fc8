"""What went wrong with a stream or a connection: the code for the peer, the reason for us, and a text for both."""

from __future__ import annotations

from ...reasons import Reason
from .codes import REFUSED_STREAM, name_of


class Http2Fault:
    """Why a stream or a connection is given up. `remote`: the peer did so. `unprocessed`: the peer has certainly not
    acted on the request, which may be sent again (RFC 9113 section 8.7)."""

    __slots__ = ("code", "reason", "text", "remote", "unprocessed")

    def __init__(self, code: int, reason: Reason, text: str, remote: bool = False, unprocessed: bool = False) -> None:
        self.code = code
        self.reason = reason
        self.text = text
        self.remote = remote
        self.unprocessed = unprocessed


class ConnectionFault(Exception):
    """Ends the connection: GOAWAY (RFC 9113 section 5.4.1)."""

    def __init__(self, code: int, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.fault = Http2Fault(code, reason, text)


class StreamFault(Exception):
    """Ends one stream: RST_STREAM (RFC 9113 section 5.4.2)."""

    def __init__(self, code: int, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.fault = Http2Fault(code, reason, text)


def remote_reset(server: bool, code: int) -> Http2Fault:
    """The peer's RST_STREAM."""
    refused = code == REFUSED_STREAM
    if server:
        reason = Reason.HTTP2_REMOTE_RESET
    else:
        reason = Reason.UPSTREAM_REFUSED_STREAM if refused else Reason.UPSTREAM_REMOTE_RESET
    return Http2Fault(code, reason, f"reset by the peer: {name_of(code)}", True, refused and not server)
