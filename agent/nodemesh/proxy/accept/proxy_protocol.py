"""PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): a load balancer says before all else which client it
speaks for. Gateways expect it where their topology says so."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from ...reasons import Reason
from ..clock import Timer
from ..pod import Pod
from ..preamble import SIGNATURE
from ..tcp.refusal import turn_away
from ..transport import Buffer, Handler, Transport

#: Section 2.1: the longest line of version 1, its CRLF among it.
MAX_LINE: Final = 107

#: How many bytes of version 2 come before what its length counts.
FIXED: Final = 16

#: More is not taken of addresses and extensions (Envoy has no limit but the length's own 64 KiB).
MAX_LENGTH: Final = 4096

#: Seconds for the header (Istio's listener filters have 15 s, too).
TIMEOUT: Final = 15.0


class HeaderError(Exception):
    """The bytes are no header of PROXY protocol."""


def read_header(data: bytes) -> tuple[int, str] | None:
    """How long the header at the start is, and which client it names (`address:port`; empty: none). None: more is to
    come. Raises HeaderError."""
    if data.startswith(SIGNATURE[: len(data)]):
        return read_binary(data)
    if not data.startswith(b"PROXY "[: len(data)]):
        raise HeaderError("no PROXY protocol on a port for it")
    end = data.find(b"\r\n", 0, MAX_LINE)
    if end < 0:
        if len(data) >= MAX_LINE:
            raise HeaderError("the line of PROXY protocol is too long")
        return None
    return end + 2, read_line(data[:end].decode("latin-1"))


def read_line(line: str) -> str:
    """Version 1."""
    words = line.split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return ""
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise HeaderError("malformed line of PROXY protocol")
    family = 4 if words[1] == "TCP4" else 6
    return endpoint(words[2], words[4], family)


def endpoint(address: str, port: str, family: int) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        raise HeaderError("malformed address in PROXY protocol") from None
    if found.version != family or not (port.isdigit() and port.isascii()) or int(port[:9]) > 65535:
        raise HeaderError("malformed address in PROXY protocol")
    return f"[{found}]:{int(port)}" if family == 6 else f"{found}:{int(port)}"


def read_binary(data: bytes) -> tuple[int, str] | None:
    """Version 2."""
    if len(data) < FIXED:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13]
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1 or length > MAX_LENGTH:
        raise HeaderError("malformed header of PROXY protocol")
    size = FIXED + length
    if len(data) < size:
        return None
    addresses = data[FIXED:size]
    if command == 0 or family not in (0x11, 0x21):  # LOCAL (the balancer's own check), or no TCP over IP
        return size, ""
    width = 4 if family == 0x11 else 16
    if length < 2 * width + 4:
        raise HeaderError("malformed address in PROXY protocol")
    address = str(ip_address(addresses[:width]))
    return size, endpoint(
        address, str(int.from_bytes(addresses[2 * width : 2 * width + 2], "big")), 4 if width == 4 else 6
    )


class Announced(Handler):
    """A connection until its header has come; then `accept` makes what the port says of it."""

    __slots__ = ("pod", "transport", "_accept", "_data", "_timer")

    def __init__(self, pod: Pod, transport: Transport, accept: Callable[[Transport], None]) -> None:
        self.pod = pod
        self.transport = transport
        self._accept = accept
        self._data = b""
        self._timer: Timer = pod.shared.clock.after(TIMEOUT, self._late)
        transport.handler = self
        pod.connections[self] = None

    def received(self, data: Buffer) -> None:
        self._data += data
        try:
            found = read_header(self._data)
        except HeaderError as error:
            self._refuse(Reason.DOWNSTREAM_PROTOCOL_ERROR, str(error))
            return
        if found is None:
            return
        size, named = found
        transport = self.transport
        if named:
            transport.remote = named
        self._leave()
        self._accept(transport)
        rest = self._data[size:]
        if rest:
            transport.handler.received(rest)

    def ended(self) -> None:
        self._refuse(Reason.DOWNSTREAM_CONNECTION_TERMINATION, "")

    def lost(self, error: OSError) -> None:
        self._refuse(Reason.DOWNSTREAM_CONNECTION_TERMINATION, "")

    def drain(self) -> None:
        if not self._data:
            self._leave()
            self.transport.close()
            self.pod.release()

    def describe(self) -> dict[str, str]:
        return {"protocol": "PROXY", "client": self.transport.remote}

    def _late(self) -> None:
        self._refuse(Reason.DOWNSTREAM_PROTOCOL_ERROR, "the header of PROXY protocol took too long")

    def _leave(self) -> None:
        """Someone else takes the connection."""
        self.pod.shared.clock.cancel(self._timer)
        self.pod.connections.pop(self, None)

    def _refuse(self, reason: Reason, detail: str) -> None:
        self._leave()
        turn_away(self.pod, self.transport, reason, detail)
        self.pod.release()
