"""The PROXY protocol as it is written to endpoints, versions 1 and 2 (haproxy's proxy-protocol.txt)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

#: Version 2's first bytes.
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

#: Section 2.1: version 1 where there are no addresses to tell.
UNKNOWN: Final = b"PROXY UNKNOWN\r\n"

#: Section 2.2: version 2 with the command LOCAL or PROXY; families over a stream, by the number of an address's bytes.
LOCAL: Final = 0x20
PROXY: Final = 0x21
FAMILIES: Final = {4: 0x11, 16: 0x21}


def write_header(version: int, source: str, destination: str) -> bytes:
    """The header with the client's `address:port` and the one that it has dialled. Where either is not known as an
    address, or they are of two families, the header says to take those of the connection itself."""
    first, second = read(source), read(destination)
    if first is None or second is None or len(first[0]) != len(second[0]):
        return UNKNOWN if version == 1 else SIGNATURE + bytes((LOCAL, 0, 0, 0))
    if version == 1:
        family = "TCP4" if len(first[0]) == 4 else "TCP6"
        line = f"PROXY {family} {shown(first[0])} {shown(second[0])} {first[1]} {second[1]}"
        return line.encode() + b"\r\n"
    body = first[0] + second[0] + first[1].to_bytes(2, "big") + second[1].to_bytes(2, "big")
    return SIGNATURE + bytes((PROXY, FAMILIES[len(first[0])])) + len(body).to_bytes(2, "big") + body


def read(place: str) -> tuple[bytes, int] | None:
    """An address as bytes, and its port; None where it is none."""
    address, _, port = place.rpartition(":")
    try:
        return ip_address(address.strip("[]")).packed, int(port)
    except ValueError:
        return None


def shown(packed: bytes) -> str:
    return str(ip_address(packed))
