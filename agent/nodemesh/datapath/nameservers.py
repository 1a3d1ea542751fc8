"""The servers that DNS queries were meant for, by the port of the pod's listener that they came to."""

from __future__ import annotations

import socket
from contextlib import suppress

from . import bpf
from .maps import NAMESERVER_KEY, MapMismatch, Maps, check_layout, unpack_address
from .namespaces import netns_cookie
from .pins import Pins


class Nameservers:
    """Reads the `nameservers` map, by its descriptor."""

    def __init__(self, map_fd: int) -> None:
        self._map = bpf.Map(map_fd)

    def at(self, sock: socket.socket, slot: int) -> str:
        """The address behind a slot of the socket's network namespace; empty where nothing was redirected to it."""
        found = self._map.lookup(NAMESERVER_KEY.pack(netns_cookie(sock), slot))
        return unpack_address(found) if found is not None else ""


def inherit(pins: Pins, maps: Maps) -> None:
    """Take over what the programs of other layouts know, for an upgrade: both agents read from the same sockets for a
    while, whichever program a query met."""
    for path in sorted(pins.root.glob("layout*/maps/nameservers")):
        if path.parent == pins.maps:
            continue
        older = bpf.Map.open(path)
        try:
            check_layout(path, older)
            for key, server in older.items():
                with suppress(FileExistsError):
                    maps["nameservers"].update(key, server, bpf.BPF_NOEXIST)
        except MapMismatch:  # then those servers get new slots
            continue
        finally:
            older.close()
