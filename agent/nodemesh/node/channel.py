"""Messages with file descriptors over SOCK_SEQPACKET Unix sockets, and bodies too big for a packet in memfds."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

#: No message is longer: whatever may be goes into a memfd.
PACKET_LIMIT = 64 * 1024

#: File descriptors in one message (the kernel's own limit is 253, SCM_MAX_FD).
FD_LIMIT = 16

Received = TypeVar("Received")


class Closed(ConnectionError):
    """The peer is gone."""


def memfd(name: str, data: bytes) -> int:
    """A sealed-off file in memory that holds `data`; the caller closes it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


def read_memfd(fd: int) -> bytes:
    """All that the file holds, whatever its offset; the descriptor is closed."""
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def listen(path: str) -> socket.socket:
    """A listening socket at `path`, only for this user; what a dead predecessor left there is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        if os.path.exists(path):
            os.unlink(path)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


class Channel(Generic[Received]):
    """One end; `received` is the union of messages that may come. `send` and `receive` follow the socket's blocking
    mode and raise BlockingIOError where it says so."""

    def __init__(self, sock: socket.socket, received: Any) -> None:
        self.sock = sock
        self._decoder: msgspec.msgpack.Decoder[Received] = msgspec.msgpack.Decoder(received)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def send(self, message: msgspec.Struct, fds: Sequence[int] = ()) -> None:
        """Send one packet; the descriptors stay the caller's. Raises Closed."""
        data = msgspec.msgpack.encode(message)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionError) as error:
            raise Closed(str(error)) from error

    def receive(self) -> tuple[Received, list[int]]:
        """The next packet and its descriptors, which are the caller's to close. Raises Closed, and msgspec's
        DecodeError where the peer speaks another language (its descriptors are closed then)."""
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(
                PACKET_LIMIT, socket.CMSG_SPACE(FD_LIMIT * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError as error:
            raise Closed(str(error)) from error
        fds = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        try:
            if not data:
                raise Closed("the peer has closed")
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise msgspec.DecodeError(f"a packet with more than {PACKET_LIMIT} bytes or {FD_LIMIT} descriptors")
            return self._decoder.decode(data), list(fds)
        except (Closed, msgspec.DecodeError):
            for fd in fds:
                os.close(fd)
            raise
