"""The kernel's maps: their layouts as bpf/include/types.h has them, and typed access to the pinned ones."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from . import bpf, steering
from .pins import LAYOUT as LAYOUT
from .pins import Pins

#: Slots of the heartbeat map, and reasons per hook in the counters.
HEARTBEATS = 64
REASONS = 64

#: Ports that DNS queries of one pod go to: one for each server that it asks.
NAMESERVERS = 4

# In the words of types.h; `=` packs without padding, which types.h spells out as `unused`.
SERVICE_KEY = struct.Struct("=16sI2sBx")
NETWORK_KEY = struct.Struct("=II2sBx16s")
SERVICE = struct.Struct("=QIIBB2s4x16s")
BACKEND_KEY = struct.Struct("=QI4x")
BACKEND = struct.Struct("=16s2s2x")
POD = struct.Struct("=II16s16s")
RANGE_KEY = struct.Struct("=II2s2x16s")
NAMESERVER_KEY = struct.Struct("=QI4x")
NAMESERVER = struct.Struct("=16s")
ORIGIN = struct.Struct("=Q16s2sBBIQ2s6x")
TRAFFIC_KEY = struct.Struct("=Q16s16s2s2s4x")
TRAFFIC = struct.Struct("=7Q")
FLOW = struct.Struct("=Q16s16s2s2sI")
PAIR = struct.Struct("=QQBBB5x")
LISTENER_KEY = struct.Struct("=QI4x")
SETTINGS = struct.Struct("=Q2s2xI")
U32 = struct.Struct("=I")
U64 = struct.Struct("=Q")

#: Bits of a network key in front of the address (view, port, protocol), and of a range's (set, port).
NETWORK_KEY_FIXED_BITS = 64


class EntryMode(IntEnum):
    """enum mode."""

    PASS = 0
    KERNEL = 1
    PROXY = 2


class ServiceFlag(IntFlag):
    """enum service_flag."""

    NONE = 0
    FAIL_CLOSED = 1
    ROUND_ROBIN = 2
    AFFINITY = 4


class Range(IntEnum):
    """enum range."""

    NONE = 0
    INCLUDED = 1
    EXCLUDED = 2


class PodFlag(IntFlag):
    """enum pod_flag."""

    NONE = 0
    DNS = 1
    SOCKMAP = 2


class Hook(IntEnum):
    """enum hook: what the counters are kept by."""

    CONNECT4 = 0
    CONNECT6 = 1
    GETPEERNAME4 = 2
    GETPEERNAME6 = 3
    SOCKOPS = 4
    SOCK_RELEASE = 5
    SENDMSG4 = 6
    SENDMSG6 = 7
    RECVMSG4 = 8
    RECVMSG6 = 9
    SOCKOPS_SOCKMAP = 10
    SK_MSG = 11
    QUEUE_DEPTH = 12
    SK_LOOKUP = 13
    GETSOCKNAME4 = 14
    GETSOCKNAME6 = 15


class End(IntEnum):
    """enum end: which of a redirected connection's two sockets."""

    APP = 0
    PROXY = 1


#: How packed IPv4 addresses begin.
MAPPED_PREFIX = bytes(10) + b"\xff\xff"


def pack_address(address: str) -> bytes:
    """16 bytes, IPv4 as ::ffff:a.b.c.d. Raises ValueError."""
    parsed = ip_address(address)
    return parsed.packed if parsed.version == 6 else MAPPED_PREFIX + parsed.packed


def unpack_address(packed: bytes) -> str:
    """The address as users write it: a mapped one as IPv4."""
    parsed = IPv6Address(packed)
    return str(parsed.ipv4_mapped or parsed)


class ServiceKey(NamedTuple):
    """A dialled address (packed), port and protocol number in one view."""

    view: int
    address: bytes
    port: int
    protocol: int = socket.IPPROTO_TCP

    def pack(self) -> bytes:
        return SERVICE_KEY.pack(self.address, self.view, self.port.to_bytes(2, "big"), self.protocol)

    @classmethod
    def unpack(cls, raw: bytes) -> ServiceKey:
        address, view, port, protocol = SERVICE_KEY.unpack(raw)
        return cls(view, address, int.from_bytes(port, "big"), protocol)


class NetworkKey(NamedTuple):
    """A dialled network; `prefix` counts bits of the packed address (an IPv4 /24 is 120). Port 0 means every port."""

    view: int
    address: bytes
    prefix: int
    port: int
    protocol: int = socket.IPPROTO_TCP

    def pack(self) -> bytes:
        port = self.port.to_bytes(2, "big")
        return NETWORK_KEY.pack(NETWORK_KEY_FIXED_BITS + self.prefix, self.view, port, self.protocol, self.address)

    @classmethod
    def unpack(cls, raw: bytes) -> NetworkKey:
        bits, view, port, protocol, address = NETWORK_KEY.unpack(raw)
        return cls(view, address, bits - NETWORK_KEY_FIXED_BITS, int.from_bytes(port, "big"), protocol)


class RangeKey(NamedTuple):
    """A network and port of one set of ranges; as with NetworkKey, port 0 means every port."""

    set: int
    address: bytes
    prefix: int
    port: int

    def pack(self) -> bytes:
        port = self.port.to_bytes(2, "big")
        return RANGE_KEY.pack(NETWORK_KEY_FIXED_BITS + self.prefix, self.set, port, self.address)

    @classmethod
    def unpack(cls, raw: bytes) -> RangeKey:
        bits, number, port, address = RANGE_KEY.unpack(raw)
        return cls(number, address, bits - NETWORK_KEY_FIXED_BITS, int.from_bytes(port, "big"))


class ServiceEntry(NamedTuple):
    """What to do with connections to a key. `backends` names a set and `slots` its size (kernel mode); `alias` is told
    to the proxy as the dialled address instead of the key's own."""

    mode: EntryMode
    flags: ServiceFlag = ServiceFlag.NONE
    backends: int = 0
    slots: int = 0
    alias: bytes = bytes(16)
    alias_port: int = 0

    def pack(self) -> bytes:
        port = self.alias_port.to_bytes(2, "big")
        return SERVICE.pack(self.backends, self.slots, 0, self.mode, self.flags, port, self.alias)

    @classmethod
    def unpack(cls, raw: bytes) -> ServiceEntry:
        backends, slots, _cursor, mode, flags, port, alias = SERVICE.unpack(raw)
        return cls(EntryMode(mode), ServiceFlag(flags), backends, slots, alias, int.from_bytes(port, "big"))


class Backend(NamedTuple):
    """One endpoint (address packed)."""

    address: bytes
    port: int

    def pack(self) -> bytes:
        return BACKEND.pack(self.address, self.port.to_bytes(2, "big"))

    @classmethod
    def unpack(cls, raw: bytes) -> Backend:
        address, port = BACKEND.unpack(raw)
        return cls(address, int.from_bytes(port, "big"))


class MapLayout(NamedTuple):
    """One map: its BPF type, key and value layout, and flags, as maps.h declares it."""

    type: str
    key: struct.Struct
    value: struct.Struct
    size: int
    flags: int = 0


_NO_PREALLOC = 1

#: Pods that a node is reckoned with at most, for maps of which each pod has a part: Kubernetes suggests 110.
PODS = 512

#: What the annotations of one pod may take of `ranges`: config/capture.py's limit, and what stands for all the rest.
RANGES_PER_POD = 258

#: Every map with its default size in entries. Where a pod's own doing takes entries, the size is that of the most pods
#: by the most that one may have.
LAYOUTS: dict[str, MapLayout] = {
    "settings": MapLayout("array", U32, SETTINGS, 1),
    "heartbeats": MapLayout("array", U32, U64, HEARTBEATS),
    "pods": MapLayout("hash", U64, POD, 4096, _NO_PREALLOC),
    "listeners": MapLayout("sockhash", LISTENER_KEY, U64, 8192),
    "services": MapLayout("hash", SERVICE_KEY, SERVICE, 131_072, _NO_PREALLOC),
    "networks": MapLayout("lpm_trie", NETWORK_KEY, SERVICE, 16_384, _NO_PREALLOC),
    "captures": MapLayout("hash", U64, U32, 4096, _NO_PREALLOC),
    "ranges": MapLayout("lpm_trie", RANGE_KEY, U32, PODS * RANGES_PER_POD, _NO_PREALLOC),
    "backends": MapLayout("hash", BACKEND_KEY, BACKEND, 262_144, _NO_PREALLOC),
    "origins": MapLayout("sk_storage", U32, ORIGIN, 0, _NO_PREALLOC),
    "nameservers": MapLayout("lru_hash", NAMESERVER_KEY, NAMESERVER, 16_384),
    "flows": MapLayout("lru_hash", FLOW, ORIGIN, 65_536),
    "traffic": MapLayout("lru_hash", TRAFFIC_KEY, TRAFFIC, 16_384),
    "pairs": MapLayout("hash", FLOW, PAIR, 16_384, _NO_PREALLOC),
    "sockets": MapLayout("sockhash", FLOW, U64, 32_768),
    "counters": MapLayout("percpu_array", U32, U64, len(Hook) * REASONS),
    steering.CODE: MapLayout("array", U32, U64, steering.ROOM),
}

#: Maps whose size the loader may be asked to change.
RESIZABLE = (
    "pods", "listeners", "services", "networks", "captures", "ranges", "backends", "nameservers", "flows",
    "traffic", "pairs", "sockets",
)  # fmt: skip


def sizes_with(changed: Mapping[str, int] | None = None) -> dict[str, int]:
    """Entries per map: the defaults with some changed. Raises ValueError for a map that has no size to choose."""
    for name in changed or {}:
        if name not in RESIZABLE:
            raise ValueError(f"map {name!r} has no size to choose; those that have are {', '.join(RESIZABLE)}")
    return {name: (changed or {}).get(name, LAYOUTS[name].size) for name in RESIZABLE}


class MapMismatch(Exception):
    """A pinned map is not laid out as this version would have it."""


def check_layout(path: Path, map_: bpf.Map, size: int | None = None) -> None:
    """Raises MapMismatch if the map pinned at `path` differs from its layout (or, if given, in its size)."""
    layout = LAYOUTS[path.name]
    info = map_.info
    wanted = (bpf.MAP_TYPES[layout.type], layout.key.size, layout.value.size, layout.flags, size or info.max_entries)
    found = (info.type, info.key_size, info.value_size, info.flags, info.max_entries)
    if wanted != found:
        raise MapMismatch(f"{path} has (type, key, value, flags, size) {found}, this version wants {wanted}")


class Maps:
    """The pinned maps, opened. Raises FileNotFoundError where nothing is loaded, MapMismatch where another version's
    layouts stand. A context manager; `close` gives the descriptors back."""

    def __init__(self, pins: Pins) -> None:
        self._maps: dict[str, bpf.Map] = {}
        try:
            for name in LAYOUTS:
                path = pins.maps / name
                self._maps[name] = map_ = bpf.Map.open(path)
                check_layout(path, map_)
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> bpf.Map:
        return self._maps[name]

    def close(self) -> None:
        while self._maps:
            self._maps.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def configure(self, heartbeat_limit: float = 2.0, workers: int = 1, dns_port: int = 15053) -> None:
        """`heartbeat_limit` in seconds: how old the freshest of the `workers` beats may be for redirects to go on."""
        if not 1 <= workers <= HEARTBEATS:
            raise ValueError(f"{workers} workers: heartbeats have room for 1 to {HEARTBEATS}")
        limit = int(heartbeat_limit * 1e9)
        self["settings"].update(U32.pack(0), SETTINGS.pack(limit, dns_port.to_bytes(2, "big"), workers))

    def enrol(self, netns: int, view: int, flags: PodFlag = PodFlag.NONE, addresses: Iterable[str] = ()) -> None:
        """Have connections from the namespace with this cookie looked up in `view`. Again with another view: moved.
        With PodFlag.DNS its DNS queries over UDP go to the configured ports of its own loopback, where the hooks for
        that are attached. Of its `addresses`, the first of each family is what its redirected sockets show as
        theirs."""
        packed = [pack_address(address) for address in addresses]
        own4 = next((one for one in packed if one.startswith(MAPPED_PREFIX)), bytes(16))
        own6 = next((one for one in packed if not one.startswith(MAPPED_PREFIX)), bytes(16))
        self["pods"].update(U64.pack(netns), POD.pack(view, flags, own4, own6))

    def withdraw(self, netns: int) -> bool:
        """Have the namespace's connections pass from now on; whether it was enrolled. Its queries take slots as long as
        it is."""
        enrolled = self["pods"].delete(U64.pack(netns))
        for slot in range(NAMESERVERS):
            self["nameservers"].delete(NAMESERVER_KEY.pack(netns, slot))
        return enrolled

    def enrolled(self) -> dict[int, int]:
        """View by netns cookie."""
        return {U64.unpack(key)[0]: POD.unpack(value)[0] for key, value in self["pods"].items()}

    def set_listener(self, netns: int, listener: socket.socket) -> None:
        """Show the kernel the namespace's listener (one for each of AF_INET and AF_INET6). The entry goes away by
        itself when the last descriptor of the socket is closed."""
        self["listeners"].update(LISTENER_KEY.pack(netns, listener.family), U64.pack(listener.fileno()))

    def remove_listener(self, netns: int, family: socket.AddressFamily) -> bool:
        return self["listeners"].delete(LISTENER_KEY.pack(netns, family))
