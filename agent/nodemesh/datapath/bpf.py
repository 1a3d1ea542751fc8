"""bpf(2) by ctypes: maps, links, pins and what the kernel tells about them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_SYSCALL = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# enum bpf_cmd (uapi/linux/bpf.h)
MAP_CREATE = 0
MAP_LOOKUP_ELEM = 1
MAP_UPDATE_ELEM = 2
MAP_DELETE_ELEM = 3
MAP_GET_NEXT_KEY = 4
PROG_LOAD = 5
OBJ_PIN = 6
OBJ_GET = 7
PROG_ATTACH = 8
PROG_TEST_RUN = 10
PROG_GET_FD_BY_ID = 13
OBJ_GET_INFO_BY_FD = 15
PROG_QUERY = 16
MAP_LOOKUP_AND_DELETE_ELEM = 21
LINK_CREATE = 28
LINK_UPDATE = 29
LINK_DETACH = 34

# enum bpf_map_type: those that nodemesh uses, and those that probes name
MAP_TYPES = {"hash": 1, "array": 2, "percpu_array": 6, "lru_hash": 9, "lpm_trie": 11, "sockhash": 18, "sk_storage": 24}

#: How long names may be (BPF_OBJ_NAME_LEN, less its end), and the verifier's words.
_NAME = 15
_LOG = 1 << 22

BPF_ANY = 0
BPF_NOEXIST = 1
BPF_F_QUERY_EFFECTIVE = 1

_LINK_TYPE_CGROUP = 3
_LINK_TYPE_NETNS = 5


class MapInfo(NamedTuple):
    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    name: str


class ProgramInfo(NamedTuple):
    type: int
    id: int
    name: str


class LinkInfo(NamedTuple):
    """A link at a cgroup or network namespace. `target` is the inode number of either (for a cgroup its id), 0 once
    that is gone."""

    id: int
    program: int
    target: int
    attach_type: int


def call(command: int, attributes: bytes | bytearray) -> int:
    """bpf(2) with `attributes` as union bpf_attr. Raises OSError as the kernel answers."""
    buffer = (ctypes.c_char * len(attributes)).from_buffer_copy(attributes)
    result: int = _libc.syscall(_SYSCALL, command, buffer, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def map_create(kind: str, key_size: int, value_size: int, entries: int, flags: int = 0, name: str = "") -> int:
    """The descriptor of a new map of one of MAP_TYPES."""
    head = struct.pack("=7I", MAP_TYPES[kind], key_size, value_size, entries, flags, 0, 0)
    return call(MAP_CREATE, head + struct.pack("=16s", name[:_NAME].encode()) + bytes(28))


def program_load(program_type: int, attach_type: int, instructions: bytes, name: str = "") -> int:
    """The descriptor of a loaded program, from raw instructions (struct bpf_insn, 8 bytes each)."""
    return _program_load(program_type, attach_type, instructions, name, None)


def verifier_log(program_type: int, attach_type: int, instructions: bytes) -> str:
    """What the verifier says of instructions that it refuses."""
    said = ctypes.create_string_buffer(_LOG)
    with suppress(OSError):
        os.close(_program_load(program_type, attach_type, instructions, "", said))
    return said.value.decode(errors="replace")


def _program_load(
    program_type: int, attach_type: int, instructions: bytes, name: str, said: ctypes.Array[ctypes.c_char] | None
) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(b"GPL")
    head = struct.pack(
        "=IIQQ", program_type, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(license_)
    )
    log = struct.pack("=IIQII", 0, 0, 0, 0, 0) if said is None else _log_into(said)
    return call(PROG_LOAD, head + log + struct.pack("=16sII", name[:_NAME].encode(), 0, attach_type) + bytes(48))


def _log_into(said: ctypes.Array[ctypes.c_char]) -> bytes:
    return struct.pack("=IIQII", 1, len(said), ctypes.addressof(said), 0, 0)


def lookup_and_delete(attributes: ctypes.Array[ctypes.c_char]) -> int:
    """BPF_MAP_LOOKUP_AND_DELETE_ELEM (hash maps: Linux 5.14) without a copy of the attributes, for hot paths. Negative
    on failure; the code is ctypes.get_errno()'s."""
    result: int = _libc.syscall(_SYSCALL, MAP_LOOKUP_AND_DELETE_ELEM, attributes, len(attributes))
    return result


def test_run(attributes: ctypes.Array[ctypes.c_char]) -> int:
    """BPF_PROG_TEST_RUN without a copy of the attributes, for hot paths; what the program returned is in them. Negative
    on failure."""
    result: int = _libc.syscall(_SYSCALL, PROG_TEST_RUN, attributes, len(attributes))
    return result


def pin(path: Path, fd: int) -> None:
    name = ctypes.create_string_buffer(os.fsencode(path))
    call(OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0))


def get(path: Path) -> int:
    """The descriptor (close-on-exec) of the object pinned at `path`."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return call(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))


def repin(path: Path, fd: int) -> None:
    """Pin `fd` at `path` in place of what stands there, without a moment of nothing there."""
    beside = path.with_name(path.name + "_new")
    beside.unlink(missing_ok=True)
    pin(beside, fd)
    beside.rename(path)


def link_create(program: int, target: int, attach_type: int) -> int:
    """Attach `program` to the cgroup or network namespace `target` (both descriptors); the link's descriptor."""
    return call(LINK_CREATE, struct.pack("=IIII", program, target, attach_type, 0) + bytes(48))


def link_update(link: int, program: int) -> None:
    """Replace the link's program in one step (BPF_LINK_UPDATE)."""
    call(LINK_UPDATE, struct.pack("=IIII", link, program, 0, 0))


def link_detach(link: int) -> None:
    """Take the link's program away now (BPF_LINK_DETACH, Linux 5.9): the last close or unlink does so a little later.
    Nothing happens where the cgroup is gone."""
    call(LINK_DETACH, struct.pack("=I", link))


def program_attach(program: int, target: int, attach_type: int) -> None:
    """Attach `program` to a map (both descriptors) in place of what was there, for as long as somebody holds the
    map."""
    call(PROG_ATTACH, struct.pack("=IIII", target, program, attach_type, 0))


def _info(fd: int, size: int) -> bytes:
    info = ctypes.create_string_buffer(size)
    call(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, size, ctypes.addressof(info)))
    return info.raw


def _name(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode()


def map_info(fd: int) -> MapInfo:
    raw = _info(fd, 80)
    kind, number, key, value, entries, flags = struct.unpack_from("=6I", raw)
    return MapInfo(kind, number, key, value, entries, flags, _name(raw[24:40]))


def program_info(fd: int) -> ProgramInfo:
    raw = _info(fd, 96)
    kind, number = struct.unpack_from("=II", raw)
    return ProgramInfo(kind, number, _name(raw[64:80]))


def program_info_by_id(number: int) -> ProgramInfo:
    fd = call(PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))
    try:
        return program_info(fd)
    finally:
        os.close(fd)


def link_info(fd: int) -> LinkInfo:
    """Raises ValueError for a link of another kind."""
    raw = _info(fd, 64)
    kind, number, program = struct.unpack_from("=III", raw)
    if kind not in (_LINK_TYPE_CGROUP, _LINK_TYPE_NETNS):
        raise ValueError(f"link {number} is of type {kind}, at no cgroup and no network namespace")
    target, attach_type = struct.unpack_from("=QI" if kind == _LINK_TYPE_CGROUP else "=II", raw, 16)
    return LinkInfo(number, program, target, attach_type)


def programs_of_cgroup(cgroup: int, attach_type: int, effective: bool = False) -> list[int]:
    """Ids of the programs attached to the cgroup (a descriptor); `effective` counts those inherited from its parents
    too, in the order in which they run."""
    capacity = 64
    ids = (ctypes.c_uint32 * capacity)()
    flags = BPF_F_QUERY_EFFECTIVE if effective else 0
    attributes = bytearray(
        struct.pack("=IIIIQII", cgroup, attach_type, flags, 0, ctypes.addressof(ids), capacity, 0) + bytes(32)
    )
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    if _libc.syscall(_SYSCALL, PROG_QUERY, buffer, len(attributes)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    count: int = struct.unpack_from("=I", attributes, 24)[0]
    return list(ids[:count])


class Map:
    """A map by its descriptor, in bytes. Owns the descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.info = map_info(fd)

    @classmethod
    def open(cls, path: Path) -> Map:
        """The map pinned at `path`; OSError (ENOENT) if there is none."""
        return cls(get(path))

    def close(self) -> None:
        os.close(self.fd)

    def update(self, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
        """OSError E2BIG or ENOSPC says that the map is full."""
        keys = ctypes.create_string_buffer(key, len(key))
        values = ctypes.create_string_buffer(value, len(value))
        call(
            MAP_UPDATE_ELEM,
            struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(keys), ctypes.addressof(values), flags),
        )

    def lookup(self, key: bytes) -> bytes | None:
        keys = ctypes.create_string_buffer(key, len(key))
        values = ctypes.create_string_buffer(self._value_size())
        try:
            call(
                MAP_LOOKUP_ELEM, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(keys), ctypes.addressof(values), 0)
            )
        except FileNotFoundError:
            return None
        return values.raw

    def delete(self, key: bytes) -> bool:
        """Whether there was such a key."""
        keys = ctypes.create_string_buffer(key, len(key))
        try:
            call(MAP_DELETE_ELEM, struct.pack("=IIQQQ", self.fd, 0, ctypes.addressof(keys), 0, 0))
        except FileNotFoundError:
            return False
        return True

    def take(self, key: bytes) -> bytes:
        """Look up and delete in one step (hash maps: Linux 5.14). Raises FileNotFoundError for an unknown key."""
        keys = ctypes.create_string_buffer(key, len(key))
        values = ctypes.create_string_buffer(self._value_size())
        pointers = (ctypes.addressof(keys), ctypes.addressof(values))
        call(MAP_LOOKUP_AND_DELETE_ELEM, struct.pack("=IIQQQ", self.fd, 0, *pointers, 0))
        return values.raw

    def keys(self) -> Iterator[bytes]:
        """Every key. Entries that come or go meanwhile may be missed; one that is deleted under way starts the walk
        over, so a key can come twice. Who changes entries all the time, as pods do, makes no walk endless."""
        following = ctypes.create_string_buffer(self.info.key_size)
        current = ctypes.create_string_buffer(self.info.key_size)
        address = 0
        for _ in range(2 * self.info.max_entries):
            try:
                call(MAP_GET_NEXT_KEY, struct.pack("=IIQQ", self.fd, 0, address, ctypes.addressof(following)))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return
                raise
            yield following.raw
            current.raw = following.raw
            address = ctypes.addressof(current)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        for key in self.keys():
            value = self.lookup(key)
            if value is not None:
                yield key, value

    def _value_size(self) -> int:
        """What a lookup copies out: for per-CPU maps one value, rounded up to 8 bytes, per possible CPU."""
        if self.info.type != MAP_TYPES["percpu_array"]:
            return self.info.value_size
        return (self.info.value_size + 7) // 8 * 8 * possible_cpus()


def possible_cpus() -> int:
    """The number of CPUs that the kernel made room for (/sys/devices/system/cpu/possible, like `0-3`)."""
    ranges = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")
    return 1 + max(int(part.rpartition("-")[2]) for part in ranges)
