"""What went wrong with a stream or a connection: the code for the peer, the reason for us, and a text for both."""

from __future__ import annotations

from ...reasons import Reason


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
