"""The kernel tells what standing connections have carried: of those that it has balanced, and of no others."""

import json
import os
import time

import pytest
from tests.netns import apps
from tests.netns.apps import PATIENCE
from tests.netns.test_datapath_traffic import balance

from nodemesh.datapath import namespaces
from nodemesh.datapath.diagnosis import standing
from nodemesh.datapath.traffic import Path

#: Takes connections and answers each line with as many bytes as it says.
_ANSWER = """
import socket, threading
kept = []
def serve(sock):
    kept.append(sock)
    for line in sock.makefile():
        sock.sendall(bytes(int(line)))
server = socket.create_server(("::", 83), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
"""

#: Connects to each address; then for each line of [number of the connection, bytes wanted], asks for as many and reads
#: them, or where none are wanted sends a FIN.
_ASK = """
import json, socket, sys
socks = []
for family, address in json.loads(sys.argv[1]):
    sock = socket.socket(getattr(socket, family))
    sock.connect((address, 80 if len(socks) < 3 else 83))
    socks.append(sock)
print("ready", flush=True)
for line in sys.stdin:
    number, size = json.loads(line)
    if size:
        socks[number].sendall(b"%d\\n" % size)
        while size:
            size -= len(socks[number].recv(size))
    else:
        socks[number].shutdown(socket.SHUT_WR)
    print("done", flush=True)
"""


@pytest.fixture
def asking(node, client, maps):
    """A pod's connections to a service by IPv4, IPv6 and a mapped address, and one past it; has one of them ask."""
    v4, v6 = sorted(node.service.addresses, key=lambda one: ":" in one)
    balance(maps, node.service.addresses, *((one, 83) for one in node.second.record.ips))
    server = apps.start(node.second, _ANSWER)
    node.second.wait_listening(83)
    dialled = [("AF_INET", v4), ("AF_INET6", v6), ("AF_INET6", f"::ffff:{v4}"), ("AF_INET", node.second.ip)]
    process = apps.start(client.pod, _ASK, json.dumps(dialled))
    assert process.stdout.readline() == "ready\n"

    def tell(number, size):
        process.stdin.write(json.dumps([number, size]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    yield tell
    for one in (process, server):
        one.kill()


def found_when(client, maps, condition):
    namespace = namespaces.netns_fd(client.pod.pid)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = list(standing(namespace, maps["origins"].fd))
            if condition(found) or time.monotonic() > deadline:
                return found
            time.sleep(0.01)
    finally:
        os.close(namespace)


def test_standing_connections_show_their_paths_and_bytes(node, client, maps, asking):
    v4, v6 = sorted(node.service.addresses, key=lambda one: ":" in one)
    ip4, ip6 = sorted(node.second.record.ips, key=lambda one: ":" in one)
    began = time.monotonic() - PATIENCE
    for number in range(4):
        asking(number, 100_000 + number)
    found = found_when(client, maps, lambda found: all(one.sent == 7 for one in found))
    assert len({one.cookie for one in found}) == 3, "the one past the service is not told of"
    assert all(began <= one.started <= time.monotonic() for one in found)
    assert sorted((one.path, one.sent, one.received) for one in found) == sorted([
        (Path(client.cookie, (v4, 80), (ip4, 83)), 7, 100_000),
        (Path(client.cookie, (v6, 80), (ip6, 83)), 7, 100_001),
        (Path(client.cookie, (v4, 80), (ip4, 83)), 7, 100_002),
    ])  # fmt: skip


def test_a_fin_is_no_byte(client, maps, asking):
    asking(0, 10)
    before = {one.cookie: one for one in found_when(client, maps, lambda found: any(one.sent == 3 for one in found))}
    asking(0, 0)
    # The server's thread ends with its input, and the socket stays open: the connection stands half closed.
    after = {one.cookie: one for one in found_when(client, maps, lambda found: True)}
    assert after == before


def test_a_namespace_without_such_connections_has_none(node, maps):
    namespace = namespaces.netns_fd(node.first.pid)
    try:
        assert list(standing(namespace, maps["origins"].fd)) == []
    finally:
        os.close(namespace)


def test_who_asks_with_no_such_map_is_told_so(node):
    namespace = namespaces.netns_fd(node.first.pid)
    try:
        with pytest.raises(OSError, match="socket diagnosis"):
            list(standing(namespace, 0))
    finally:
        os.close(namespace)
