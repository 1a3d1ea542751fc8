"""The proxy's share of sockmap: its sockets in the map beside the apps', and the depth of the apps' queues."""

from __future__ import annotations

import ctypes
import os
import struct
from socket import SocketType

from . import bpf
from .maps import FLOW, U64, End, Maps

#: What queue_depth.bpf.c answers for a connection that goes by TCP.
_UNKNOWN = 0xFFFFFFFF

#: Where union bpf_attr has `test.retval`, and how long it is up to `test.batch_size`.
_RETVAL = 4
_ATTRIBUTES = 80


class Sockmap:
    """By the map `sockets` and the descriptor of the program `queue_depth`. One thread at a time: the buffers are the
    object's own."""

    def __init__(self, sockets: bpf.Map, depth_fd: int) -> None:
        self._sockets = sockets
        self._flow = ctypes.create_string_buffer(_ARGUMENTS.size)
        head = struct.pack(
            "=IIIIQQIIIIQQ", depth_fd, 0, 0, 0, 0, 0, 0, 0, _ARGUMENTS.size, 0, ctypes.addressof(self._flow), 0
        )
        self._attributes = ctypes.create_string_buffer(head, _ATTRIBUTES)

    def join(self, sock: SocketType, flow: bytes) -> bool:
        """Put the proxy's end of the app's `flow` (FLOW) into the map; False where the kernel does not take it: the
        connection goes by TCP then, as it does until both ends are in."""
        try:
            self._sockets.update(_proxys(flow), U64.pack(sock.fileno()))
        except OSError:
            return False
        return True

    def part(self, flow: bytes) -> None:
        """Take the proxy's end out again, whose writes cost less then. Only where none of the app's bytes has come to
        it without TCP, as before the first answer has begun."""
        self._sockets.delete(_proxys(flow))

    def depth(self, flow: bytes, small: bool = False) -> int:
        """Bytes that wait for the app to read them; negative where it gets them by TCP, which it does for good then. To
        be asked before the first byte is written, and told then whether the first answer is small. About 1 µs. Raises
        OSError."""
        self._flow.raw = _ARGUMENTS.pack(flow, small)
        if bpf.test_run(self._attributes) < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"queue depth: {os.strerror(code)}")
        depth: int = struct.unpack_from("=I", self._attributes, _RETVAL)[0]
        if depth == _UNKNOWN:
            leave(self._sockets, flow)
            return -1
        return depth


_END = struct.Struct("=I")


def _proxys(flow: bytes) -> bytes:
    """The name of the proxy's end of an app's flow."""
    return flow[: -_END.size] + _END.pack(End.PROXY)


#: Of queue_depth: the flow, and whether the first answer is small.
_ARGUMENTS = struct.Struct(f"={FLOW.size}sQ")


def leave(sockets: bpf.Map, flow: bytes) -> None:
    """Take the app's socket out of the map `sockets`, for an app that is to get its bytes by TCP: what it asks the
    kernel about them (FIONREAD) is answered rightly then. Only as long as nothing waits for it that came otherwise."""
    sockets.delete(flow)


def sweep(maps: Maps) -> int:
    """Delete the pairs whose app's socket is gone: sockops deletes them where it still sees the end. How many there
    were."""
    pairs, sockets = maps["pairs"], maps["sockets"]
    return sum(pairs.delete(key) for key in list(pairs.keys()) if sockets.lookup(key) is None)
