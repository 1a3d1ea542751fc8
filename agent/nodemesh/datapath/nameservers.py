"""The servers that DNS queries were meant for, by the port of the pod's listener that they came to."""

from __future__ import annotations

import socket

from . import bpf
from .maps import NAMESERVER_KEY, unpack_address
from .namespaces import netns_cookie


class Nameservers:
    """Reads the `nameservers` map, by its descriptor."""

    def __init__(self, map_fd: int) -> None:
        self._map = bpf.Map(map_fd)

    def at(self, sock: socket.socket, slot: int) -> str:
        """The address behind a slot of the socket's network namespace; empty where nothing was redirected to it."""
        found = self._map.lookup(NAMESERVER_KEY.pack(netns_cookie(sock), slot))
        return unpack_address(found) if found is not None else ""
