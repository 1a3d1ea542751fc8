"""Where the fields of the kernel's own structs stand, from the BTF by which it describes its types
(Documentation/bpf/btf.rst)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_MAGIC = 0xEB9F
_HEADER = struct.Struct("=HBBIIIII")
_TYPE = struct.Struct("=III")
_MEMBER = struct.Struct("=III")

_STRUCT = 4
#: Bytes behind a type's head by its kind: constant, and per element.
_TAIL = {
    1: (4, 0),  # INT
    3: (12, 0),  # ARRAY
    _STRUCT: (0, 12),
    5: (0, 12),  # UNION
    6: (0, 8),  # ENUM
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    17: (4, 0),  # DECL_TAG
    19: (0, 12),  # ENUM64
}
_KINDS = 19


class BtfError(Exception):
    """The kernel does not describe what is needed: one sentence."""


def offsets(fields: Iterable[tuple[str, str]], path: Path = VMLINUX) -> dict[tuple[str, str], int]:
    """Bytes from each struct's beginning to the field, for (struct, field) pairs. Fields must be the struct's own, not
    of an anonymous part of it. Raises BtfError."""
    wanted: dict[str, list[str]] = {}
    for name, field in fields:
        wanted.setdefault(name, []).append(field)
    try:
        data = path.read_bytes()
        found: dict[tuple[str, str], int] = {}
        for name, members in _structs(data, set(wanted)):
            if (name, wanted[name][0]) not in found or all(field in members for field in wanted[name]):
                found |= {(name, field): members[field] for field in wanted[name] if field in members}
    except OSError as error:
        raise BtfError(f"the kernel does not describe its types ({path}: {error.strerror})") from error
    except (struct.error, IndexError, KeyError) as error:
        raise BtfError(f"{path} is no BTF that this version can read ({error!r})") from error
    missing = [f"{name}.{field}" for name, names in wanted.items() for field in names if (name, field) not in found]
    if missing:
        raise BtfError(f"the kernel has no {', '.join(missing)}")
    return found


def _structs(data: bytes, names: set[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """The structs of these names with their members' offsets."""
    magic, _version, _flags, length, type_start, type_length, string_start, string_length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise KeyError("magic")
    strings = data[length + string_start : length + string_start + string_length]
    at = {place + 1: name for name in names if (place := strings.find(b"\0" + name.encode() + b"\0")) >= 0}
    place, end = length + type_start, length + type_start + type_length
    while place < end:
        name, info, _size = _TYPE.unpack_from(data, place)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        if kind > _KINDS:
            raise KeyError(f"kind {kind}")
        if kind == _STRUCT and name in at:
            yield at[name], _members(data, strings, place + _TYPE.size, count, bool(info >> 31))
        constant, each = _TAIL.get(kind, (0, 0))
        place += _TYPE.size + constant + each * count


def _members(data: bytes, strings: bytes, place: int, count: int, bitfields: bool) -> dict[str, int]:
    """Whole bytes only: a bit field has no address."""
    found: dict[str, int] = {}
    for number in range(count):
        name, _type, offset = _MEMBER.unpack_from(data, place + number * _MEMBER.size)
        bits, offset = (offset >> 24, offset & 0xFFFFFF) if bitfields else (0, offset)
        if not bits and offset % 8 == 0:
            found[strings[name : strings.index(b"\0", name)].decode()] = offset // 8
    return found
