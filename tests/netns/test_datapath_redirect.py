"""Redirect: a pod's connect() ends at the proxy's listener in the pod's own namespace, which knows what was dialled."""

import socket

import pytest
from tests.netns.conftest import VIP4, VIP6

from nodemesh.datapath.attach import attach, detach
from nodemesh.datapath.heartbeat import Heartbeat
from nodemesh.datapath.maps import Mode, ServiceEntry, ServiceKey, pack_address
from nodemesh.datapath.origin import OriginalDestinations

PROXY = 15001

#: How the app dials: its socket's family, the address it uses, what the proxy must be told, where the proxy listens.
WAYS = {
    "v4": ("AF_INET", VIP4, VIP4, "127.0.0.1"),
    "mapped": ("AF_INET6", f"::ffff:{VIP4}", VIP4, "127.0.0.1"),
    "v6": ("AF_INET6", VIP6, VIP6, "::1"),
}

CLIENT = """
sock = socket.socket(socket.{family})
sock.settimeout(5)
try:
    sock.connect(({address!r}, 80))
    print(sock.recv(99).decode(), sock.getpeername()[0], sock.getpeername()[1])
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def pod(wire, loaded, maps):
    """The client pod enrolled, with a proxy's listeners, a fresh heartbeat and the service in proxy mode."""
    attach(loaded, wire.client.uid, wire.client.cgroup)
    cookie = wire.client.cookie()
    maps.enrol(cookie, view=0)
    listeners = {address: wire.client.listen(address, PROXY) for address in ("127.0.0.1", "::1")}
    for listener in listeners.values():
        maps.set_listener(cookie, listener)
    Heartbeat(maps["heartbeats"].fd, 0).beat()
    for address in (VIP4, VIP6):
        maps["services"].update(ServiceKey(0, pack_address(address), 80).pack(), ServiceEntry(Mode.PROXY).pack())
    wire.client.listeners = listeners
    yield wire.client
    for listener in listeners.values():
        listener.close()
    detach(loaded, wire.client.uid)


@pytest.fixture
def direct(wire):
    """What answers on the direct way: `direct` on every address of the server pod."""
    code = (
        "s = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=99)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    c = s.accept()[0]; c.sendall(b'direct'); c.close()\n"
    )
    process = wire.server.start(code)
    assert process.stdout.readline().strip() == "ready"
    yield
    process.kill()
    process.communicate()


def serve(listener: socket.socket, destinations: OriginalDestinations, answer: bytes = b"proxy"):
    """Accept one connection as the proxy does, and answer it; the original destination."""
    listener.settimeout(5)
    accepted, peer = listener.accept()
    with accepted:
        dialled = destinations.take(accepted, peer)
        accepted.sendall(answer)
    return dialled


@pytest.mark.parametrize("way", WAYS)
def test_the_proxy_learns_what_was_dialled_and_the_app_sees_what_it_dialled(pod, maps, way):
    family, address, told, listens = WAYS[way]
    process = pod.start(CLIENT.format(family=family, address=address))
    assert serve(pod.listeners[listens], OriginalDestinations(maps["flows"].fd)) == (told, 80)
    assert process.communicate(timeout=10)[0].split() == ["proxy", address, "80"]


def test_hundreds_of_connections_none_missing_none_left_over(pod, maps):
    total = 600
    code = f"""
for _ in range({total}):
    with socket.create_connection(({VIP4!r}, 80), 5) as sock:
        assert sock.recv(9) == b"proxy"
print("done")
"""
    process = pod.start(code)
    destinations = OriginalDestinations(maps["flows"].fd)
    told = [serve(pod.listeners["127.0.0.1"], destinations) for _ in range(total)]
    assert process.communicate(timeout=10)[0].strip() == "done"
    assert told == [(VIP4, 80)] * total
    assert list(maps["flows"].keys()) == []
    assert list(maps["origins"].keys()) == []
