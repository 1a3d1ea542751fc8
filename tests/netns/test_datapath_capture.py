"""Which connections of a pod are the mesh's: what its annotations leave out passes untouched, live, in every family."""

import errno
from dataclasses import replace

import pytest
from tests.netns.conftest import BPF_DIR, HEARTBEAT_LIMIT, enrol, finish
from tests.netns.test_datapath_redirect import WAYS

from nodemesh.config.capture import EVERYTHING, Capture
from nodemesh.datapath import counters
from nodemesh.datapath.capture import Captures
from nodemesh.datapath.loader import load
from nodemesh.datapath.maps import LAYOUT, EntryMode, Hook, Maps, ServiceEntry
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import uninstall
from nodemesh.reasons import Reason

#: Places of a map that is soon full.
ROOM = 64


@pytest.fixture
def captures(maps):
    found = Captures(maps)
    yield found
    found.keep([])
    assert list(maps["captures"].keys()) == list(maps["ranges"].keys()) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("capture", "taken"),
    [
        (Capture(exclude_ports=(80,)), False),
        (Capture(exclude_ports=(81,)), True),
        (Capture(exclude_ranges=("0.0.0.0/0", "::/0")), False),
        (Capture(include_ranges=("0.0.0.0/0", "::/0")), True),
        (Capture(include_ranges=()), False),
        (Capture(include_ranges=(), include_ports=(80,)), True),
        (Capture(exclude_ranges=("0.0.0.0/0", "::/0"), include_ports=(80,)), False),
    ],
)
def test_what_is_left_out_goes_direct_and_is_counted(node, client, maps, captures, way, capture, taken):
    family, form, index, listener = WAYS[way]
    vip = node.service.addresses[index]
    client.serve(vip, ServiceEntry(EntryMode.PROXY))
    captures.set(client.cookie, capture)
    hook = Hook.CONNECT4 if way == "v4" else Hook.CONNECT6
    before = counters.read(maps).get((hook, Reason.PASS_EXCLUDED), 0)
    process = client.start_dial(form.format(vip), family=family)
    if taken:
        assert client.answer(listener) == (vip, 80)
    assert finish(process) == ["proxy" if taken else "first", form.format(vip), "80"]
    assert counters.read(maps).get((hook, Reason.PASS_EXCLUDED), 0) == before + (not taken)


def test_an_ipv6_network_means_no_ipv4_address(node, client, captures):
    captures.set(client.cookie, Capture(exclude_ranges=("::/0",)))
    for vip in node.service.addresses:
        client.serve(vip, ServiceEntry(EntryMode.PROXY))
    process = client.start_dial(node.service.addresses[0])
    assert client.answer() == (node.service.addresses[0], 80)
    assert finish(process)[0] == "proxy"
    assert client.dial(node.service.addresses[1])[0] == "first"


def test_equal_pods_share_a_set_and_the_last_one_takes_it_along(maps, captures):
    one, other = Capture(exclude_ports=(80,)), Capture(exclude_ports=(443,))
    captures.set(1, one)
    captures.set(2, one)
    assert len(list(maps["ranges"].keys())) == 2
    captures.set(2, other)
    again = Captures(maps)  # a successor finds what was left
    again.set(1, one)
    again.set(3, other)
    assert len(list(maps["ranges"].keys())) == 4
    again.keep([3])
    assert len(list(maps["captures"].keys())) == 1
    again.set(3, EVERYTHING)
    assert list(maps["ranges"].keys()) == []


@pytest.fixture
def small(node):
    """The node with room for few ranges."""
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-ranges"), LAYOUT)
    load(BPF_DIR, pins, {"ranges": ROOM})
    yield replace(node, pins=pins)
    uninstall(pins)


def test_a_full_map_keeps_what_held_before(small):
    vip = small.service.addresses[0]
    with Maps(small.pins) as maps, enrol(small, maps, small.client) as client:
        maps.configure(HEARTBEAT_LIMIT)
        captures = Captures(maps)
        captures.set(client.cookie, Capture(exclude_ports=(80,)))
        with pytest.raises(OSError) as caught:
            captures.set(client.cookie, Capture(exclude_ranges=tuple(f"10.0.0.{n}/32" for n in range(ROOM))))
        assert caught.value.errno == errno.ENOSPC
        assert len(list(maps["ranges"].keys())) == 2
        client.serve(vip, ServiceEntry(EntryMode.PROXY))
        assert client.dial(vip)[0] == "first"
