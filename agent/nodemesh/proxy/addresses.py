"""Addresses of endpoints and services, as sockets take them and as the access log shows them."""

from __future__ import annotations

import socket
from typing import Any, Final

from ..telemetry.memo import Memo

UNIX: Final = "unix://"


class Address:
    """One address and port: `sockaddr` is what connect() takes, `text` is `host:port`, or the unix socket's URL."""

    __slots__ = ("family", "port", "sockaddr", "text")

    def __init__(self, address: str, port: int) -> None:
        self.family = int(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.sockaddr: tuple[str, int] | str = (address, port)
        self.port = port
        self.text = show((address, port))
        if address.startswith(UNIX):
            self.family = int(socket.AF_UNIX)
            self.sockaddr = address.removeprefix(UNIX)
            self.text = address


class Addresses(Memo[tuple[str, int], Address]):
    """By address and port: each connection asks for two."""

    def make(self, key: tuple[str, int]) -> Address:
        return Address(key[0], key[1])


ADDRESSES: Final = Addresses()


def host_of(name: str) -> str:
    """The host of `host:port`, IPv6 without its brackets."""
    return name.rpartition(":")[0].strip("[]")


def show(address: tuple[Any, ...] | str) -> str:
    """A socket's address as `host:port`, IPv6 in brackets, or as the path it is."""
    if isinstance(address, str):
        return address
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
