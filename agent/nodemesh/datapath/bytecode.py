"""Compiled programs: instructions that name their maps, found again by what they were made from.

They lie beside the sources, where an image brings them, or in the cache folder, where the first load on a node that
compiles leaves them. The same sources and options mean the same instructions on every kernel; sizes of maps are no part
of them."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

#: Beside the sources.
FOLDER = "compiled"

#: So many are kept in the cache folder: options differ between kernels, versions follow each other.
KEPT = 8

#: struct bpf_insn: code, registers, offset, immediate. A load of 64 bits takes two; its source register says of what.
INSTRUCTION = struct.Struct("=BBhi")
LOAD_64 = 0x18
CALL = 0x85
PSEUDO_MAP = 1


class BytecodeError(Exception):
    """Instructions are not what they should be: one sentence."""


class Bytecode(msgspec.Struct, frozen=True):
    """Instructions by function. Those that load a map have its place among `maps` in the place of a descriptor."""

    maps: list[str]
    programs: dict[str, bytes]

    def instructions(self, function: str, descriptors: Mapping[str, int]) -> bytes:
        """Ready to be loaded, with the maps' descriptors."""
        code = bytearray(self.programs[function])
        for at, name in self.references(function):
            INSTRUCTION.pack_into(code, at, LOAD_64, code[at + 1], 0, descriptors[name])
        return bytes(code)

    def references(self, function: str) -> Iterator[tuple[int, str]]:
        """Where the instructions load which map."""
        for at, number in _map_loads(self.programs[function]):
            yield at, self.maps[number]


def link(programs: Mapping[str, bytes], descriptors: Mapping[int, str]) -> Bytecode:
    """Of instructions as a compiler in this process has them, with its own maps' descriptors. Raises BytecodeError."""
    names = sorted(set(descriptors.values()))
    linked: dict[str, bytes] = {}
    for function, raw in programs.items():
        code = bytearray(raw)
        for at, fd in _map_loads(raw):
            if fd not in descriptors:
                raise BytecodeError(f"{function} uses a map that has no name here")
            INSTRUCTION.pack_into(code, at, LOAD_64, code[at + 1], 0, names.index(descriptors[fd]))
        linked[function] = bytes(code)
    return Bytecode(names, linked)


def _map_loads(code: bytes) -> Iterator[tuple[int, int]]:
    """Offset and immediate of each load of a map. Raises BytecodeError for what only a linker could complete."""
    at = 0
    while at < len(code):
        operation, registers, _, immediate = INSTRUCTION.unpack_from(code, at)
        source = registers >> 4
        if operation == LOAD_64 and source == PSEUDO_MAP:
            yield at, immediate
        elif operation == LOAD_64 and source or operation == CALL and source:
            raise BytecodeError("global data and calls between functions need a linker, which there is none")
        at += 2 * INSTRUCTION.size if operation == LOAD_64 else INSTRUCTION.size


def key(bpf_dir: Path, names: Iterable[str], defines: Mapping[str, int]) -> str:
    """What the compiled programs of these files are found by."""
    found = sha256(f"{sys.byteorder} {sorted(defines.items())}\0".encode())
    for path in (*(bpf_dir / f"{name}.bpf.c" for name in sorted(names)), *sorted((bpf_dir / "include").glob("*.h"))):
        found.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:32]


def find(bpf_dir: Path, name: str) -> Bytecode | None:
    """What was compiled under this key, before this process or with the sources."""
    for folder in (bpf_dir / FOLDER, cache()):
        path = folder / name
        with suppress(OSError, msgspec.DecodeError):
            if _is_trusted(path):
                return msgspec.msgpack.decode(path.read_bytes(), type=Bytecode)
    return None


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "nodemesh" / "bytecode"


def keep(name: str, code: Bytecode) -> None:
    """Into the cache folder, where it can be written; the oldest make room."""
    folder = cache()
    with suppress(OSError):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        write(folder / name, code)
        by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in by_age[KEPT:]:
            path.unlink()


def write(path: Path, code: Bytecode) -> None:
    """By one rename: readers see all of it or nothing."""
    fd, beside = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.msgpack.encode(code, order="deterministic"))
        os.fchmod(fd, 0o644)
    os.rename(beside, path)


def _is_trusted(path: Path) -> bool:
    """Whether nobody else can have written it: what it says runs in the kernel."""
    for one in (path, path.parent):
        found = one.stat()
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            return False
    return True
