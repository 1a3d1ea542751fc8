"""Makes the map of what sockets carry with them (BPF_MAP_TYPE_SK_STORAGE). The kernel wants to be told the types of its
keys and values (Documentation/bpf/btf.rst), and holds nobody's room for anybody else's: each record is its socket's."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

from . import bpf

_BTF_LOAD = 18
_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F
_INT, _STRUCT = 1, 4
_SIGNED_32_BITS = 1 << 24 | 32
_KEY, _VALUE = 1, 2  # the types' numbers


def make(path: Path, value_size: int, flags: int) -> None:
    """Make the map and pin it at `path`, if there is none."""
    if path.exists():
        return
    types = _load_types(value_size)
    try:
        head = struct.pack("=7I", bpf.MAP_TYPES["sk_storage"], 4, value_size, 0, flags, 0, 0)
        fd = bpf.call(
            bpf.MAP_CREATE, head + struct.pack("=16s4I", path.name.encode(), 0, types, _KEY, _VALUE) + bytes(16)
        )
    finally:
        os.close(types)
    try:
        bpf.pin(path, fd)
    finally:
        os.close(fd)


def _load_types(value_size: int) -> int:
    """The descriptor of `int` and `struct value`, of that size and without named fields."""
    names = b"\0int\0value\0"
    types = struct.pack("=4I", 1, _INT << 24, 4, _SIGNED_32_BITS) + struct.pack("=3I", 5, _STRUCT << 24, value_size)
    blob = _HEADER.pack(_MAGIC, 1, 0, _HEADER.size, 0, len(types), len(types), len(names)) + types + names
    buffer = ctypes.create_string_buffer(blob, len(blob))
    return bpf.call(_BTF_LOAD, struct.pack("=QQIII", ctypes.addressof(buffer), 0, len(blob), 0, 0) + bytes(4))
