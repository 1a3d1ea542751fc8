"""What a pod's own connections to its loopback are to the program that steers redirected ones: none of its business."""

import ctypes
import struct
import time

import pytest
from tests.netns import apps
from tests.netns.conftest import finish

from nodemesh.datapath import steering
from nodemesh.datapath.maps import FLOW, ORIGIN, EntryMode, pack_address

SOURCE_PORT = 23457  # none that the kernel gives to anybody

#: Dials the pod's own server at port 80 from a port that is known beforehand.
DIAL = """
import socket, sys
sock = socket.socket(getattr(socket, sys.argv[1]))
sock.settimeout(90)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind((sys.argv[2], int(sys.argv[3])))
try:
    sock.connect((sys.argv[2], 80))
    print(sock.recv(99).decode())
except OSError as error:
    print(type(error).__name__)
"""

FAMILIES = {"AF_INET": "127.0.0.1", "AF_INET6": "::1"}


def record(maps, cookie, address, age=0.0):
    """As if a connection with these ends had been redirected so many seconds ago."""
    packed = pack_address(address)
    key = FLOW.pack(cookie, packed, packed, SOURCE_PORT.to_bytes(2, "big"), (80).to_bytes(2, "big"), 0)
    started = (time.monotonic_ns() - int(age * 1e9)) % 2**64
    value = ORIGIN.pack(
        cookie, pack_address("192.0.2.7"), (7).to_bytes(2, "big"), EntryMode.PROXY, 1, 0, started, bytes(2)
    )
    maps["flows"].update(key, value)


def own(client, family):
    return apps.run(client.pod, DIAL, family, FAMILIES[family], str(SOURCE_PORT)).strip()


@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_is_recorded_is_steered(client, maps, family):
    address = FAMILIES[family]
    assert own(client, family) == "client"
    record(maps, client.cookie + 1, address)  # another namespace's
    assert own(client, family) == "client"
    record(maps, client.cookie, address)
    process = apps.start(client.pod, DIAL, family, address, str(SOURCE_PORT))
    assert client.answer(address) == ("192.0.2.7", 7)
    assert finish(process) == ["proxy"]
    assert own(client, family) == "client"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_record_that_nobody_took_grows_old(client, maps, family):
    record(maps, client.cookie, FAMILIES[family], age=600)
    assert own(client, family) == "client"


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_listener_what_is_recorded_is_refused_and_reaches_no_app_of_the_pod(client, maps, family):
    client.listeners[FAMILIES[family]].close()
    record(maps, client.cookie, FAMILIES[family])
    assert own(client, family) == "ConnectionRefusedError"


def test_code_without_its_one_place_for_the_cookie_is_refused(node):
    load_64 = struct.pack("=BBhi", 0x18, 0x01, 0, ctypes.c_int32(steering.NETNS & 0xFFFFFFFF).value)
    load_64 += struct.pack("=BBhi", 0, 0, 0, steering.NETNS >> 32)
    for code in (bytes(16), load_64 * 2):
        with pytest.raises(steering.SteeringError, match="instead of one"):
            steering.store(node.pins, code, {})
    with pytest.raises(steering.SteeringError, match="there is room for"):
        steering.store(node.pins, bytes(8 * steering.ROOM), {})
