"""Redirect: a pod's connect() ends at the proxy's listener in the pod's own namespace, which knows what was dialled."""

import errno
import os
import socket
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from tests.netns import apps
from tests.netns.conftest import HEARTBEAT_LIMIT, PATIENCE, dial, enrol, finish

from nodemesh.datapath import bpf, counters, heartbeat, namespaces
from nodemesh.datapath.heartbeat import FRESH, Heartbeat
from nodemesh.datapath.maps import U32, U64, EntryMode, Hook, NetworkKey, ServiceEntry, ServiceFlag, pack_address
from nodemesh.reasons import Reason

PROXY = ServiceEntry(EntryMode.PROXY)
CLOSED = ServiceEntry(EntryMode.PROXY, ServiceFlag.FAIL_CLOSED)

#: How an app dials: its socket's family, and how it writes the service's address of which family.
WAYS = {
    "v4": ("AF_INET", "{}", 0, "127.0.0.1"),
    "mapped": ("AF_INET6", "::ffff:{}", 0, "127.0.0.1"),
    "v6": ("AF_INET6", "{}", 1, "::1"),
}


@pytest.fixture
def proxied(node, client):
    for address in node.service.addresses:
        client.serve(address, PROXY)
    return client


@pytest.mark.parametrize("way", WAYS)
def test_the_proxy_learns_what_was_dialled_and_the_app_sees_what_it_dialled(node, proxied, way):
    """RC-16."""
    family, form, index, listener = WAYS[way]
    vip = node.service.addresses[index]
    process = proxied.start_dial(form.format(vip), family=family)
    assert proxied.answer(listener) == (vip, 80)
    assert finish(process) == ["proxy", form.format(vip), "80"]


@pytest.mark.parametrize("way", WAYS)
def test_hundreds_of_connections_none_missing_none_left_over(node, proxied, maps, way):
    family, form, index, listener = WAYS[way]
    vip = node.service.addresses[index]
    total = 300
    code = f"""
import socket
for _ in range({total}):
    with socket.socket(socket.{family}) as sock:
        sock.settimeout({PATIENCE})
        sock.connect(({form.format(vip)!r}, 80))
        assert sock.recv(9) == b"proxy"
print("done")
"""
    process = apps.start(proxied.pod, code)
    told = [proxied.answer(listener) for _ in range(total)]
    assert finish(process) == ["done"]
    assert told == [(vip, 80)] * total
    assert list(maps["flows"].keys()) == []


def test_a_record_is_taken_once(node, proxied):
    process = proxied.start_dial(node.service.addresses[0])
    listener = proxied.listeners["127.0.0.1"]
    listener.settimeout(PATIENCE)
    accepted, peer = listener.accept()
    with accepted:
        assert proxied.destinations.take(accepted) == (node.service.addresses[0], 80)
        assert proxied.destinations.take(accepted, peer) is None
        accepted.sendall(b"proxy")
    finish(process)


def test_what_an_app_sent_before_it_closed_still_finds_its_way(node, proxied, maps):
    """The app is gone before the proxy accepts."""
    vip = node.service.addresses[0]
    apps.run(proxied.pod, f"import socket\nwith socket.create_connection(({vip!r}, 80)) as sock: sock.sendall(b'bye')")
    listener = proxied.listeners["127.0.0.1"]
    listener.settimeout(PATIENCE)
    accepted, peer = listener.accept()
    with accepted:
        assert proxied.destinations.take(accepted, peer) == (vip, 80)
        assert accepted.recv(9) == b"bye"
    assert list(maps["flows"].keys()) == []


def test_a_listener_that_closes_with_connections_in_its_backlog_leaves_no_record(node, proxied, maps):
    vip = node.service.addresses[0]
    code = (
        "import socket\n"
        f"sock = socket.create_connection(({vip!r}, 80), 90)\n"
        "print('connected', flush=True)\n"
        "try:\n    sock.recv(9)\nexcept OSError as error:\n    print(type(error).__name__)"
    )
    process = apps.start(proxied.pod, code)
    assert process.stdout.readline() == "connected\n"
    assert len(list(maps["flows"].keys())) == 1
    proxied.listeners["127.0.0.1"].close()
    assert finish(process) == ["ConnectionResetError"]
    assert list(maps["flows"].keys()) == []


def test_a_client_that_has_reset_the_connection_is_still_known(node, proxied, maps):
    vip = node.service.addresses[0]
    code = (
        "import socket, struct\n"
        f"sock = socket.create_connection(({vip!r}, 80))\n"
        "sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "sock.close()"
    )
    apps.run(proxied.pod, code)
    listener = proxied.listeners["127.0.0.1"]
    listener.settimeout(PATIENCE)
    accepted, peer = listener.accept()
    with accepted:
        assert proxied.destinations.take(accepted) is None  # it has no peer to be looked up by any more
        assert proxied.destinations.take(accepted, peer) == (vip, 80)
    assert list(maps["flows"].keys()) == []


def test_a_connection_straight_to_the_listener_has_no_origin(proxied):
    port = proxied.listeners["127.0.0.1"].getsockname()[1]
    process = proxied.start_dial("127.0.0.1", port)
    assert proxied.answer() is None
    assert finish(process) == ["proxy", "127.0.0.1", str(port)]


def test_an_app_that_is_bound_to_its_pods_address_is_redirected(node, proxied):
    vip = node.service.addresses[0]
    code = (
        "import socket\n"
        f"sock = socket.create_connection(({vip!r}, 80), 90, source_address=({node.client.ip!r}, 0))\n"
        "print(sock.recv(9).decode(), sock.getsockname()[0])"
    )
    process = apps.start(proxied.pod, code)
    assert proxied.answer() == (vip, 80)
    assert finish(process) == ["proxy", node.client.ip]


def test_what_is_not_ours_passes(node, proxied):
    assert proxied.dial(node.second.ip) == ["second", node.second.ip, "80"]


def test_pass_mode_passes(node, client):
    vip = node.service.addresses[0]
    client.serve(vip, ServiceEntry(EntryMode.PASS))
    assert client.dial(vip) == ["first", vip, "80"]


def test_a_pod_whose_namespace_is_not_enrolled_passes(node, proxied, maps):
    """RC-18: a process may be hooked before its pod is known."""
    maps.withdraw(proxied.cookie)
    vip = node.service.addresses[0]
    assert proxied.dial(vip) == ["first", vip, "80"]


def test_other_cgroups_are_never_touched(node, proxied):
    """RC-17, RC-28: a process of the node in the very same namespace, as the agent's own next hop."""
    vip = node.service.addresses[0]
    netns = namespaces.netns_fd(proxied.pod.pid)
    with closing(namespaces.open_socket(netns, socket.AF_INET)) as upstream:
        upstream.settimeout(PATIENCE)
        upstream.connect((vip, 80))
        assert upstream.recv(9) == b"first"


@pytest.mark.parametrize("index", (0, 1))
def test_a_late_heartbeat_fails_open(node, proxied, maps, index):
    vip = node.service.addresses[index]
    proxied.heartbeat.stop()
    assert proxied.dial(vip) == ["first", vip, "80"]
    hook = (Hook.CONNECT4, Hook.CONNECT6)[index]
    assert counters.read(maps)[hook, Reason.PASS_HEARTBEAT_LATE] >= 1


def test_a_heartbeat_grows_old(node, proxied, maps):
    vip = node.service.addresses[0]
    maps.configure(heartbeat_limit=0.2)
    proxied.heartbeat.beat()
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        time.sleep(0.01)
    assert proxied.dial(vip) == ["first", vip, "80"]


def test_a_heart_that_was_stopped_is_late_on_a_machine_that_has_just_started_too(node, proxied, maps):
    vip = node.service.addresses[0]
    maps.configure(heartbeat_limit=1e8)  # longer than any machine is up
    proxied.heartbeat.stop()
    assert proxied.dial(vip) == ["first", vip, "80"]


def test_a_heart_may_beat_as_often_as_its_loop_turns(maps, monkeypatch):
    """Most beats are not written, and one after a stop is."""
    moments = iter((1, FRESH, FRESH + 1, FRESH + 2))
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic_ns=lambda: next(moments)))
    heart = Heartbeat(maps["heartbeats"].fd, 2)

    def beat():
        heart.beat()
        return U64.unpack(maps["heartbeats"].lookup(U32.pack(2)))[0]

    assert [beat(), beat(), beat()] == [1, 1, FRESH + 1]
    heart.stop()
    assert beat() == FRESH + 2
    heart.stop()


def test_one_fresh_worker_is_enough(node, proxied, maps):
    vip = node.service.addresses[0]
    maps.configure(HEARTBEAT_LIMIT, workers=3)
    proxied.heartbeat.stop()
    last = Heartbeat(maps["heartbeats"].fd, 2)
    last.beat()
    process = proxied.start_dial(vip)
    assert proxied.answer() == (vip, 80)
    finish(process)
    last.stop()
    assert proxied.dial(vip) == ["first", vip, "80"]


@pytest.mark.parametrize("index", (0, 1))
def test_a_closed_listener_fails_open_at_once(node, proxied, maps, index):
    vip = node.service.addresses[index]
    for listener in proxied.listeners.values():
        listener.close()
    proxied.heartbeat.beat()
    assert proxied.dial(vip) == ["first", vip, "80"]
    hook = (Hook.CONNECT4, Hook.CONNECT6)[index]
    assert counters.read(maps)[hook, Reason.PASS_NO_LISTENER] >= 1


@pytest.mark.parametrize("index", (0, 1))
def test_fail_closed_refuses(node, client, index):
    vip = node.service.addresses[index]
    client.serve(vip, CLOSED)
    client.heartbeat.stop()
    assert client.dial(vip) == ["ConnectionRefusedError"]
    client.heartbeat.beat()
    process = client.start_dial(vip)
    assert client.answer(("127.0.0.1", "::1")[index]) == (vip, 80)
    finish(process)
    for listener in client.listeners.values():
        listener.close()
    assert client.dial(vip) == ["ConnectionRefusedError"]


def test_a_refused_attempt_leaves_nothing(node, client, maps):
    vip = node.service.addresses[0]
    client.serve(vip, CLOSED)
    client.heartbeat.stop()
    client.dial(vip)
    assert list(maps["flows"].keys()) == []


def test_an_attempt_that_never_connects_takes_its_record_back(node, proxied, maps):
    """The SYN finds nobody: as if what steers it were gone since the hook's look."""
    (steering,) = (node.pins.links / proxied.pod.record.uid).glob("sk_lookup@*")
    link = bpf.get(steering)
    bpf.link_detach(link)
    os.close(link)
    assert proxied.dial(node.service.addresses[0]) == ["ConnectionRefusedError"]
    assert list(maps["flows"].keys()) == []


def test_a_network_is_redirected_and_an_address_beats_it(node, client, maps):
    vip = node.service.addresses[0]
    maps["networks"].update(NetworkKey(0, pack_address("10.96.0.0"), 96 + 16, 80).pack(), PROXY.pack())
    process = client.start_dial(vip)
    assert client.answer() == (vip, 80)
    finish(process)
    client.serve(vip, ServiceEntry(EntryMode.PASS))
    assert client.dial(vip) == ["first", vip, "80"]


def test_views_differ_by_client(node, client, maps):
    vip = node.service.addresses[0]
    client.serve(vip, PROXY)
    client.serve(vip, ServiceEntry(EntryMode.PASS), view=7)
    maps.enrol(client.cookie, view=7)
    assert client.dial(vip) == ["first", vip, "80"]
    maps.enrol(client.cookie, view=8)
    process = client.start_dial(vip)
    assert client.answer() == (vip, 80)
    finish(process)


def test_an_alias_is_told_instead_of_the_dialled_endpoint(node, client):
    """RC-01: another program has rewritten the virtual address to an endpoint's."""
    vip = node.service.addresses[0]
    client.serve(node.first.ip, ServiceEntry(EntryMode.PROXY, alias=pack_address(vip), alias_port=80))
    process = client.start_dial(node.first.ip)
    assert client.answer() == (vip, 80)
    finish(process)


def test_udp_is_left_alone(node, proxied):
    """RC-20, RC-21: names are resolved as before, whether the data plane lives or not."""
    code = (
        "import socket\nsock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        f"sock.connect(({node.service.addresses[0]!r}, 80)); print(sock.getpeername()[0])"
    )
    assert apps.run(proxied.pod, code).strip() == node.service.addresses[0]


def test_the_very_first_connection_of_a_new_pod_is_right(node, maps):
    """RC-04, RC-18: nothing is learnt by a first attempt, and nothing of ours stands in the way before."""
    vip = node.service.addresses[0]
    pod = node.lab.pod("fresh")
    try:
        assert dial(pod, vip) == ["first", vip, "80"]
        with enrol(node, maps, pod) as fresh:
            fresh.serve(vip, PROXY)
            process = fresh.start_dial(vip)
            assert fresh.answer() == (vip, 80)
            assert finish(process)[0] == "proxy"
    finally:
        node.lab.delete(pod)


def test_a_non_blocking_connect_is_redirected(node, proxied):
    vip = node.service.addresses[0]
    code = (
        "import select, socket\nsock = socket.socket(); sock.setblocking(False)\n"
        f"code = sock.connect_ex(({vip!r}, 80))\n"
        "select.select([], [sock], [], 90); print(code, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))\n"
        "select.select([sock], [], [], 90)"
    )
    process = apps.start(proxied.pod, code)
    assert proxied.answer() == (vip, 80)
    assert finish(process) == [str(errno.EINPROGRESS), "0"]
