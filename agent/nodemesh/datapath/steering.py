"""The program that hands a pod's redirected SYNs to the pod's listener, at its network namespace (sk_lookup).

It is not told which namespace it runs in, so each pod has a copy with its cookie written into it. The loader, which is
gone once all is compiled, leaves the code in a map; here it is completed and loaded."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Mapping

from . import bpf
from .hooks import SK_LOOKUP
from .pins import Pins

#: Where the code lies: the number of instructions, then each.
CODE = "steering"

#: How many there may be.
ROOM = 512

#: In the place of the namespace's cookie: NETNS of bpf/sk_lookup.bpf.c.
NETNS = 0x6D2D656D65646F6E

#: The maps that the code may use, by the number that stands for their descriptor.
MAPS = ("flows", "listeners", "counters")

#: struct bpf_insn: code, registers, offset, immediate. A load of 64 bits takes two, and names a map with this register.
_INSTRUCTION = struct.Struct("=BBhi")
_LOAD_64 = 0x18
_PSEUDO_MAP = 1 << 4


class SteeringError(Exception):
    """The code is not what it should be: one sentence."""


def store(pins: Pins, code: bytes, maps: Mapping[int, str]) -> None:
    """Leave compiled code for `steer`; `maps` are the descriptors that it has. Raises SteeringError."""
    parts = [_INSTRUCTION.unpack_from(code, at) for at in range(0, len(code), _INSTRUCTION.size)]
    for number, (operation, registers, offset, immediate) in enumerate(parts):
        if operation == _LOAD_64 and registers & 0xF0 == _PSEUDO_MAP:
            parts[number] = (operation, registers, offset, MAPS.index(maps[immediate]))
    stored = b"".join(_INSTRUCTION.pack(*part) for part in parts)
    if len(parts) >= ROOM:
        raise SteeringError(f"sk_lookup has {len(parts)} instructions, there is room for {ROOM - 1}")
    _with_cookie(stored, 0)
    kept = bpf.Map.open(pins.maps / CODE)
    try:
        kept.update(struct.pack("=I", 0), struct.pack("=Q", len(parts)))
        for number in range(len(parts)):
            kept.update(struct.pack("=I", number + 1), stored[8 * number : 8 * number + 8])
    finally:
        kept.close()


def load(pins: Pins, cookie: int) -> int:
    """The descriptor of a copy for the namespace with this cookie. Raises OSError."""
    kept = bpf.Map.open(pins.maps / CODE)
    try:
        words = [kept.lookup(struct.pack("=I", number)) or bytes(8) for number in range(ROOM)]
    finally:
        kept.close()
    (count,) = struct.unpack("=Q", words[0])
    code = bytearray(_with_cookie(b"".join(words[1 : count + 1]), cookie))
    opened: list[int] = []
    try:
        for at in range(0, len(code), _INSTRUCTION.size):
            operation, registers, offset, immediate = _INSTRUCTION.unpack_from(code, at)
            if operation == _LOAD_64 and registers & 0xF0 == _PSEUDO_MAP:
                opened.append(bpf.get(pins.maps / MAPS[immediate]))
                _INSTRUCTION.pack_into(code, at, operation, registers, offset, opened[-1])
        return bpf.program_load(SK_LOOKUP.program_type, SK_LOOKUP.attach_type, bytes(code), SK_LOOKUP.name)
    finally:
        for fd in opened:
            os.close(fd)


def _with_cookie(code: bytes, cookie: int) -> bytes:
    """The code with the cookie in its one place."""
    found = [at for at in range(0, len(code) - 8, 8) if _constant(code, at) == NETNS]
    if len(found) != 1:
        raise SteeringError(f"sk_lookup has {len(found)} places for the namespace's cookie instead of one")
    at = found[0]
    low, high = struct.pack("=I", cookie & 0xFFFFFFFF), struct.pack("=I", cookie >> 32)
    return code[: at + 4] + low + code[at + 8 : at + 12] + high + code[at + 16 :]


def _constant(code: bytes, at: int) -> int | None:
    """The 64 bits that the instruction loads, if it is such a one."""
    operation, registers, _, _ = _INSTRUCTION.unpack_from(code, at)
    if operation != _LOAD_64 or registers & 0xF0:
        return None
    halves = code[at + 4 : at + 8], code[at + 12 : at + 16]
    low, high = (int.from_bytes(half, sys.byteorder) for half in halves)
    return low | high << 32
