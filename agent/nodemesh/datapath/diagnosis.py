"""What the TCP sockets of a network namespace have sent and received, by the kernel's socket diagnosis (sock_diag(7)):
of those alone whose connections were balanced in the kernel, told by the record that they carry (`origins`)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from .maps import ORIGIN, EntryMode, unpack_address
from .namespaces import open_socket
from .traffic import Path

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20

# linux/netlink.h
_ERROR: Final = 2
_DONE: Final = 3
_REQUEST_DUMP: Final = 0x1 | 0x300
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type

# linux/inet_diag.h
_QUERY = struct.Struct("=BBBxI48x")  # family, protocol, extensions, states; any address
_MESSAGE = struct.Struct("=BB4x2s16x16s4xQ20x")  # family, state, the peer's port and address, cookie
_WANT_INFO: Final = 1 << 1  # INET_DIAG_INFO, counted from one
_INFO: Final = 2
_REQUEST_STORAGES: Final = 2  # INET_DIAG_REQ_SK_BPF_STORAGES, Linux 5.7
_STORAGES: Final = 20  # INET_DIAG_SK_BPF_STORAGES
_NESTED: Final = 0x8000

# linux/sock_diag.h
_STORAGE: Final = 1
_STORAGE_VALUE: Final = 3

#: Bytes of ORIGIN that say which pod dialled what: up to `mode`.
_DIALLED: Final = 27
_STARTED = struct.Struct("=32xQ")

#: struct tcp_info: tcpi_bytes_acked and tcpi_bytes_received.
_BYTES = struct.Struct("=120xQQ")

# net/tcp_states.h: of connections that stand, or of which one end at least has not closed.
_ESTABLISHED, _FIN_WAIT1, _FIN_WAIT2, _CLOSE_WAIT, _LAST_ACK, _CLOSING = 1, 4, 5, 8, 9, 11
_STATES: Final = sum(1 << state for state in (_ESTABLISHED, _FIN_WAIT1, _FIN_WAIT2, _CLOSE_WAIT, _LAST_ACK, _CLOSING))

#: States in which TCP has counted a FIN as a byte: ours, and the peer's.
_SENT_FIN: Final = frozenset({_FIN_WAIT2, _CLOSING})
_RECEIVED_FIN: Final = frozenset({_CLOSE_WAIT, _LAST_ACK, _CLOSING})

#: What one read takes: the most that the kernel puts into one.
_READ: Final = 32 * 1024


class StandingConnection(NamedTuple):
    """A connection that stands: the number of its socket, which the kernel gives to no other, its path, when its SYN
    left (seconds, CLOCK_MONOTONIC), and its bytes without those that TCP counts for SYN and FIN."""

    cookie: int
    path: Path
    started: float
    sent: int
    received: int


def standing(namespace_fd: int, origins_fd: int) -> Iterator[StandingConnection]:
    """The connections of a network namespace that were balanced in the kernel, by the descriptors of the namespace and
    of the map `origins`. Raises OSError; ENOENT where the kernel has no socket diagnosis."""
    opened = open_socket(namespace_fd, socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    paths: dict[bytes, Path] = {}
    with socket.socket(fileno=opened.detach()) as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            netlink.send(_request(family, origins_fd))
            for data, start, end in _messages(netlink):
                found = _read(data, start, end, paths)
                if found is not None:
                    yield found


def _request(family: int, origins_fd: int) -> bytes:
    asked = _ATTRIBUTE.pack(8, _STORAGE) + struct.pack("=I", origins_fd)
    query = _QUERY.pack(family, socket.IPPROTO_TCP, _WANT_INFO, _STATES)
    query += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(asked), _REQUEST_STORAGES | _NESTED) + asked
    return _HEADER.pack(_HEADER.size + len(query), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0) + query


def _messages(netlink: socket.socket) -> Iterator[tuple[bytes, int, int]]:
    """An answer's messages: each where its header ends, and where it ends itself."""
    while True:
        data = netlink.recv(_READ)
        start = 0
        while start < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, start)
            if kind == _DONE:
                return
            if kind == _ERROR:
                code = -struct.unpack_from("=i", data, start + _HEADER.size)[0]
                raise OSError(code, f"socket diagnosis: {os.strerror(code)}")
            yield data, start + _HEADER.size, start + length
            start += _aligned(length)


def _read(data: bytes, start: int, end: int, paths: dict[bytes, Path]) -> StandingConnection | None:
    """One socket; None where its connection is none of ours. `paths` are those that were met before."""
    info, record = _find(data, start + _MESSAGE.size, end)
    if not info or not record:
        return None
    family, state, port, address, cookie = _MESSAGE.unpack_from(data, start)
    name = data[record : record + _DIALLED] + port + address
    path = paths.get(name)
    if path is None:
        netns, dialled, dialled_port, mode, *_ = ORIGIN.unpack_from(data, record)
        if mode != EntryMode.KERNEL:
            return None
        backend = socket.inet_ntoa(address[:4]) if family == socket.AF_INET else unpack_address(address)
        path = Path(
            netns,
            (unpack_address(dialled), int.from_bytes(dialled_port, "big")),
            (backend, int.from_bytes(port, "big")),
        )
        paths[name] = path
    acked, received = _BYTES.unpack_from(data, info)
    sent = max(0, acked - 1 - (state in _SENT_FIN))
    (started,) = _STARTED.unpack_from(data, record)
    return StandingConnection(cookie, path, started / 1e9, sent, max(0, received - (state in _RECEIVED_FIN)))


def _find(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Where a socket's tcp_info begins, and its record in `origins`; 0 where it has none."""
    info = record = 0
    for kind, value, stop in _attributes(data, start, end):
        if kind == _INFO and stop - value >= _BYTES.size:
            info = value
        elif kind == _STORAGES:
            for _, storage, last in _attributes(data, value, stop):
                for part, found, rest in _attributes(data, storage, last):
                    if part == _STORAGE_VALUE and rest - found >= ORIGIN.size:
                        record = found
    return info, record


def _attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Types, and where their values begin and end."""
    while start + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            return
        yield kind & ~_NESTED, start + _ATTRIBUTE.size, start + length
        start += _aligned(length)


def _aligned(length: int) -> int:
    """Netlink's own alignment (NLMSG_ALIGN, NLA_ALIGN)."""
    aligned: int = length + 3 & ~3
    return aligned
