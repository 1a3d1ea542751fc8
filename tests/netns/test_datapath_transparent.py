"""What an app sees of the redirect: nothing. However it dials, it finds the addresses that it would find without us."""

import pytest
from tests.netns import apps
from tests.netns.conftest import finish

from nodemesh.datapath.maps import BACKEND_KEY, Backend, EntryMode, ServiceEntry, pack_address

#: Dials in the way that is asked for, and says what it got and what addresses it sees. `source` is its pod's address,
#: as sockets of the family write it.
APP = """
import errno, select, socket, struct, sys
family, peer, source, port, way = getattr(socket, sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
sock = socket.socket(family, socket.SOCK_STREAM, 262 if way == "mptcp" else 0)
sock.settimeout(90)
if way == "device":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
if way == "source":
    sock.bind((source, 0))
if way == "port":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", 23456))
if way == "fast open":
    sock.setblocking(True)
    sock.sendto(b"", socket.MSG_FASTOPEN, (peer, port))
elif way == "non-blocking":
    sock.setblocking(False)
    assert sock.connect_ex((peer, port)) in (0, errno.EINPROGRESS)
    assert select.select([], [sock], [], 90)[1] and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sock.setblocking(True)
elif way == "again":
    sock.connect((peer, port))
    sock.recv(99)
    unspecified = struct.pack("=H14x", socket.AF_UNSPEC)
    import ctypes
    assert ctypes.CDLL(None).connect(sock.fileno(), unspecified, len(unspecified)) == 0
    assert sock.getsockname()[0] in ("0.0.0.0", "::", "::ffff:0.0.0.0")
    sock.connect((peer, port))
else:
    sock.connect((peer, port))
print(sock.recv(99).decode(), *sock.getpeername()[:2], sock.getsockname()[0])
"""

WAYS = ("plain", "source", "device", "port", "fast open", "non-blocking", "again", "mptcp")
FAMILIES = {"v4": ("AF_INET", "{}", 0), "mapped": ("AF_INET6", "::ffff:{}", 0), "v6": ("AF_INET6", "{}", 1)}
MODES = (EntryMode.PROXY, EntryMode.KERNEL, EntryMode.PASS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mode", MODES, ids=[mode.name.lower() for mode in MODES])
def test_an_app_sees_what_it_dialled_and_its_own_address(node, client, maps, mode, family, way):
    name, form, index = FAMILIES[family]
    vip, own = node.service.addresses[index], node.client.record.ips[index]
    client.serve(vip, ServiceEntry(mode, **to_first(maps, node, index) if mode is EntryMode.KERNEL else {}))
    arguments = (name, form.format(vip), form.format(own), "80", way)
    process = apps.start(client.pod, APP, *arguments)
    expected = "first"
    if mode is EntryMode.PROXY and way != "device":
        expected = "proxy"
        for _ in range(2 if way == "again" else 1):
            assert client.answer(("127.0.0.1", "::1")[index]) == (vip, 80)
    assert finish(process) == [expected, form.format(vip), "80", form.format(own)]


#: Binds the very port that its connection would be sent to, were it not for the app's own, and dials. SO_COOKIE is 57.
#: Connections of the tests before had ports next to each other, too, and wait there for their time to be over.
ITSELF = """
import socket, struct, sys
family, peer, ports = getattr(socket, sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(64):
    sock = socket.socket(family)
    sock.settimeout(90)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    cookie = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, 57, 8))[0]
    try:
        sock.bind(("", 1 + cookie % ports))
    except OSError:  # somebody has it
        continue
    sock.connect((peer, 80))
    print(sock.recv(99).decode())
    break
else:
    sys.exit("no port is free")
"""


@pytest.mark.parametrize(("family", "ports"), [("v4", 65535), ("mapped", 65535), ("v6", 1023)])
def test_no_connection_meets_itself(node, client, family, ports):
    """With the same address and port at both ends, TCP would connect a socket to itself."""
    name, form, index = FAMILIES[family]
    vip = node.service.addresses[index]
    client.serve(vip, ServiceEntry(EntryMode.PROXY))
    process = apps.start(client.pod, ITSELF, name, form.format(vip), str(ports))
    assert client.answer(("127.0.0.1", "::1")[index]) == (vip, 80)
    assert finish(process) == ["proxy"]


def to_first(maps, node, index):
    """A set of one backend, by a name of its own."""
    maps["backends"].update(
        BACKEND_KEY.pack(7 + index, 0), Backend(pack_address(node.first.record.ips[index]), 80).pack()
    )
    return {"backends": 7 + index, "slots": 1}


#: Ten local ports, for 16 connections to each of two addresses; then one local port for both.
FEW_PORTS = """
import socket, sys
family, peers, own = getattr(socket, sys.argv[1]), sys.argv[2:4], sys.argv[4]
knob = "/proc/sys/net/ipv4/ip_local_port_range"
with open(knob) as file:
    before = file.read()
kept = []

def dial(peer, port=0):
    sock = socket.socket(family)
    sock.settimeout(90)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        sock.bind((own, port))
    sock.connect((peer, 80))
    kept.append(sock)

try:
    with open(knob, "w") as file:
        file.write("40000 40009")
    for peer in peers:
        for _ in range(16):
            dial(peer)
finally:
    with open(knob, "w") as file:
        file.write(before)
for peer in peers:
    dial(peer, 23458)
print(len(kept))
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_connections_share_no_destination(node, client, family):
    """An app has as many connections to each address as local ports, and a local port serves several addresses."""
    name, form, index = FAMILIES[family]
    peers = [service.addresses[index] for service in (node.service, node.own)]
    for peer in peers:
        client.serve(peer, ServiceEntry(EntryMode.PROXY))
    own = form.format(node.client.record.ips[index])
    assert apps.run(client.pod, FEW_PORTS, name, *map(form.format, peers), own).strip() == "34"
    told = [client.answer(("127.0.0.1", "::1")[index]) for _ in range(34)]
    assert sorted(told) == sorted((peer, 80) for peer in peers for _ in range(17))
