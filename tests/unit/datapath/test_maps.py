"""Python's layouts are C's: compiled with the header that the programs use."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nodemesh.datapath import hooks, maps, steering
from nodemesh.datapath.maps import (
    NAMESERVER_KEY,
    U64,
    Backend,
    End,
    EntryMode,
    Hook,
    Maps,
    NetworkKey,
    PodFlag,
    Range,
    RangeKey,
    ServiceEntry,
    ServiceFlag,
    ServiceKey,
    pack_address,
    unpack_address,
)
from nodemesh.reasons import Reason

BPF = Path(__file__).parents[3] / "bpf"

#: C's structs, our layouts, and the order of the fields that are not padding.
STRUCTS = {
    "service_key": (maps.SERVICE_KEY, ["address", "view", "port", "protocol"]),
    "network_key": (maps.NETWORK_KEY, ["prefix_length", "view", "port", "protocol", "address"]),
    "service": (maps.SERVICE, ["backends", "slots", "cursor", "mode", "flags", "alias_port", "alias"]),
    "backend_key": (maps.BACKEND_KEY, ["set", "slot"]),
    "backend": (maps.BACKEND, ["address", "port"]),
    "pod": (maps.POD, ["view", "flags", "own4", "own6"]),
    "range_key": (maps.RANGE_KEY, ["prefix_length", "set", "port", "address"]),
    "nameserver_key": (maps.NAMESERVER_KEY, ["netns", "slot"]),
    "origin": (maps.ORIGIN, ["netns", "address", "port", "mode", "chosen", "joined", "started", "source_port"]),
    "flow": (maps.FLOW, ["netns", "source", "destination", "source_port", "destination_port", "end"]),
    "pair": (maps.PAIR, ["app", "proxy", "verified", "begun", "refused"]),
    "traffic_key": (maps.TRAFFIC_KEY, ["netns", "dialled", "backend", "dialled_port", "backend_port"]),
    "traffic": (maps.TRAFFIC, ["opened", "failed", "closed", "sent", "received", "duration", "rtt"]),
    "listener_key": (maps.LISTENER_KEY, ["netns", "family"]),
    "settings": (maps.SETTINGS, ["heartbeat_limit", "dns_port", "workers"]),
}

_MAIN = """
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
#include "include/types.h"
#include "include/reasons.h"
int main(void) {
%s
return 0; }
"""


@pytest.fixture(scope="module")
def c_says(tmp_path_factory):
    """What the C compiler makes of every expression that the tests ask for."""
    asked = ["LAYOUT", "REASONS", "HEARTBEATS", "HOOKS", "NAMESERVERS"]
    asked += [f"sizeof(struct {name})" for name in STRUCTS]
    asked += [f"offsetof(struct {name}, {field})" for name, (_, fields) in STRUCTS.items() for field in fields]
    asked += [f"HOOK_{hook.name}" for hook in Hook] + [f"MODE_{mode.name}" for mode in EntryMode]
    asked += [f"SERVICE_{flag.name}" for flag in ServiceFlag]
    asked += [f"POD_{flag.name}" for flag in PodFlag] + [f"RANGE_{one.name}" for one in Range]
    asked += [f"END_{end.name}" for end in End]
    asked += [f"REASON_{reason.name}" for reason in Reason if reason < maps.REASONS]
    folder = tmp_path_factory.mktemp("layout")
    lines = "\n".join(f'printf("%ld\\n", (long)({expression}));' for expression in asked)
    (folder / "main.c").write_text(_MAIN % lines)
    subprocess.run(["gcc", "-I", BPF, "-o", folder / "main", folder / "main.c"], check=True)
    values = subprocess.run([folder / "main"], check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(asked, map(int, values), strict=True))


@pytest.mark.parametrize("name", STRUCTS)
def test_every_field_is_where_c_has_it(c_says, name):
    layout, fields = STRUCTS[name]
    assert layout.size == c_says[f"sizeof(struct {name})"]
    offset, ours = 0, []
    for count, code in re.findall(r"(\d*)([a-zA-Z])", layout.format):
        width = int(count or 1) if code in "sx" else {"B": 1, "H": 2, "I": 4, "Q": 8}[code]
        repeats = 1 if code in "sx" else int(count or 1)
        for _ in range(repeats):
            if code != "x":
                ours.append(offset)
            offset += width
    assert ours == [c_says[f"offsetof(struct {name}, {field})"] for field in fields]


def test_enumerations_are_the_same(c_says):
    assert c_says["LAYOUT"] == maps.LAYOUT
    assert c_says["REASONS"] == maps.REASONS
    assert c_says["HEARTBEATS"] == maps.HEARTBEATS
    assert c_says["HOOKS"] == len(Hook)
    assert c_says["NAMESERVERS"] == maps.NAMESERVERS
    for hook in Hook:
        assert c_says[f"HOOK_{hook.name}"] == hook
    for mode in EntryMode:
        assert c_says[f"MODE_{mode.name}"] == mode
    for flag in ServiceFlag:
        assert c_says[f"SERVICE_{flag.name}"] == flag
    for verdict in Range:
        assert c_says[f"RANGE_{verdict.name}"] == verdict
    for pod_flag in PodFlag:
        assert c_says[f"POD_{pod_flag.name}"] == pod_flag
    for end in End:
        assert c_says[f"END_{end.name}"] == end


def test_the_kernels_reasons_are_the_same_in_both_directions(c_says):
    ours = {reason.name for reason in Reason if reason < maps.REASONS}
    assert ours == set(re.findall(r"REASON_(\w+) =", (BPF / "include" / "reasons.h").read_text()))
    for name in ours:
        assert c_says[f"REASON_{name}"] == Reason[name]


def test_every_map_of_the_header_is_known_with_its_type_and_the_other_way_round():
    text = (BPF / "include" / "maps.h").read_text()
    found = {name: kind for kind, name in re.findall(r'^MAP\("(\w+)", [^,]+, [^,]+, (\w+), ', text, re.M)}
    found |= dict.fromkeys(re.findall(r"^SOCKHASH\(struct \w+, (\w+), ", text, re.M), "sockhash")
    found |= dict.fromkeys(re.findall(r"^SK_STORAGE\(struct \w+, (\w+)\)", text, re.M), "sk_storage")
    found[steering.CODE] = "array"  # the agent's own
    assert found == {name: layout.type for name, layout in maps.LAYOUTS.items()}


def test_every_hook_has_one_file_with_its_function():
    known = (*hooks.HOOKS, *hooks.DNS_HOOKS, hooks.SK_LOOKUP, *hooks.SOCKMAP_PROGRAMS)
    for hook in known:
        assert f"int {hook.function}(" in (BPF / f"{hook.name}.bpf.c").read_text()
    assert {path.name.removesuffix(".bpf.c") for path in BPF.glob("*.bpf.c")} == {hook.name for hook in known}
    assert {hook.name.upper() for hook in known} == {hook.name for hook in Hook}


@pytest.mark.parametrize(
    "value",
    [
        ServiceKey(3, pack_address("10.96.0.10"), 9080),
        NetworkKey(0, pack_address("fd00::"), 16, 443),
        NetworkKey(9, pack_address("10.0.0.0"), 104, 0),
        RangeKey(7, pack_address("10.0.0.0"), 104, 0),
        RangeKey(1, bytes(16), 0, 3306),
        ServiceEntry(EntryMode.PROXY, ServiceFlag.FAIL_CLOSED, 0, 0, pack_address("10.1.2.3"), 80),
        ServiceEntry(EntryMode.KERNEL, ServiceFlag.ROUND_ROBIN, 2**64 - 1, 1000),
        Backend(pack_address("fd00::7"), 65535),
    ],
)
def test_records_come_back_as_they_went(value):
    assert type(value).unpack(value.pack()) == value


def test_addresses_have_one_shape():
    assert pack_address("1.2.3.4") == bytes(10) + b"\xff\xff\x01\x02\x03\x04" == pack_address("::ffff:1.2.3.4")
    assert unpack_address(pack_address("::ffff:1.2.3.4")) == "1.2.3.4"
    assert unpack_address(pack_address("fd00:0::1")) == "fd00::1"
    with pytest.raises(ValueError):
        pack_address("reviews.default")


def test_only_maps_that_grow_have_sizes():
    assert maps.sizes_with({"services": 7})["services"] == 7
    assert maps.sizes_with()["services"] == maps.LAYOUTS["services"].size
    with pytest.raises(ValueError, match="'counters' has no size"):
        maps.sizes_with({"counters": 1})


class Asking(dict):
    """A map `pods` or `nameservers`; a pod asks a server each time that something is deleted, while it is there."""

    def __init__(self, maps):
        super().__init__()
        self.maps = maps

    def delete(self, key):
        if self.maps["pods"]:
            self.maps["nameservers"][NAMESERVER_KEY.pack(7, 0)] = b"a server"
        return self.pop(key, None) is not None


def test_a_namespace_that_asks_while_it_is_withdrawn_leaves_no_slot():
    opened = Maps.__new__(Maps)
    found: dict[str, Any] = {}
    found |= {name: Asking(found) for name in ("pods", "nameservers")}
    opened._maps = found
    found["pods"][U64.pack(7)] = b"a pod"
    assert opened.withdraw(7) and not opened.withdraw(7)
    assert found == {"pods": {}, "nameservers": {}}
