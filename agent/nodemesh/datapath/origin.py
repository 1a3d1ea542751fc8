"""The address that an app dialled, for a connection that was redirected to the proxy."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from socket import SocketType
from typing import Any

from ..bounded import Bounded
from . import bpf
from .maps import FLOW, ORIGIN, pack_address, unpack_address
from .namespaces import SO_NETNS_COOKIE

#: FLOW's fields as they come: the cookie in bytes already, the ports in network order.
_KEY = struct.Struct("!8s16s16sHH4x")

#: Where ORIGIN has `joined`: a number of 0 or 1, of which one byte is enough to look at, whichever comes first.
_JOINED = 28 if sys.byteorder == "little" else 31

#: Conversions that are remembered, of each kind.
_REMEMBERED = 4096


class OriginalDestinations:
    """Takes accepted connections' records from the `flows` map (by its descriptor). About 3 µs each. One thread at a
    time: the buffers are the object's own."""

    __slots__ = ("_attributes", "_dialled", "_key", "_packed", "_value")

    def __init__(self, map_fd: int) -> None:
        self._key = ctypes.create_string_buffer(FLOW.size)
        self._value = ctypes.create_string_buffer(ORIGIN.size)
        pointers = (ctypes.addressof(self._key), ctypes.addressof(self._value))
        self._attributes = ctypes.create_string_buffer(struct.pack("=IIQQQ", map_fd, 0, *pointers, 0), 32)
        self._packed: Bounded[str, bytes] = Bounded(_REMEMBERED)
        self._dialled: Bounded[bytes, tuple[str, int]] = Bounded(_REMEMBERED)

    def take(self, sock: SocketType, peer: tuple[Any, ...] | None = None) -> tuple[str, int] | None:
        """The dialled (address, port), IPv4 also where the app used ::ffff:a.b.c.d, and forget it; None for a
        connection that was not redirected, or was taken before. `peer` is what accept() returned: it saves asking
        again, which a client that has reset the connection meanwhile would leave without an answer."""
        try:
            source = peer or sock.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return None
            raise
        own = sock.getsockname()
        _KEY.pack_into(
            self._key,
            0,
            sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8),
            self._packed.found.get(source[0]) or self._pack(source[0]),
            self._packed.found.get(own[0]) or self._pack(own[0]),
            source[1],
            own[1],
        )
        if bpf.lookup_and_delete(self._attributes) < 0:
            code = ctypes.get_errno()
            if code == errno.ENOENT:
                return None
            raise OSError(code, f"original destination: {os.strerror(code)}")
        dialled = self._value.raw[8:26]  # address and port of struct origin
        return self._dialled.found.get(dialled) or self._unpack(dialled)

    @property
    def joined(self) -> bool:
        """Whether the app's socket of the connection that was last taken stands in the map `sockets`."""
        return self._value.raw[_JOINED] != 0

    @property
    def flow(self) -> bytes:
        """The connection that was last taken, as the app's end is named in the maps (FLOW)."""
        return self._key.raw

    def _pack(self, address: str) -> bytes:
        return self._packed.keep(address, pack_address(address.partition("%")[0]))

    def _unpack(self, dialled: bytes) -> tuple[str, int]:
        return self._dialled.keep(dialled, (unpack_address(dialled[:16]), int.from_bytes(dialled[16:], "big")))
