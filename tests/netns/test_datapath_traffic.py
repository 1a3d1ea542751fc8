"""Connections in kernel mode are counted although nothing of nodemesh is on their way."""

import json
import subprocess
import time
from pathlib import Path

from tests.netns import apps
from tests.netns.conftest import PATIENCE, View

from nodemesh.datapath import bpf, traffic
from nodemesh.datapath.plan import Planner
from nodemesh.datapath.sync import ServiceMaps
from nodemesh.registry.snapshot import Endpoint, Protocol
from nodemesh.routing.decision import Cluster, Route, WeightedCluster
from nodemesh.routing.frontend import Frontend, Mode

#: Sends as many bytes as it is asked for.
_SENDER = """
import socket
server = socket.create_server(("", 82))
while True:
    with server.accept()[0] as accepted:
        accepted.sendall(bytes(int(accepted.recv(99))))
"""


def balance(maps, addresses, *endpoints):
    cluster = Cluster(
        name="c",
        key="c",
        host="h",
        port=80,
        endpoints=tuple(Endpoint(address=address, port=port) for address, port in endpoints),
    )
    route = Route(destinations=(WeightedCluster(cluster=cluster, cluster_name="c"),), total_weight=100)
    service = Frontend(addresses=addresses, port=80, protocol=Protocol.TCP, mode=Mode.KERNEL, tcp=route)
    ServiceMaps(maps).apply(Planner().plan([(0, View(service))]))


def sums_when(maps, condition):
    """All that was taken until `condition` holds for the sums: the kernel closes a little after the app."""
    sums: dict[traffic.Path, traffic.Traffic] = {}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for path, found in traffic.take(maps).items():
            sums[path] = traffic.Traffic._make(map(sum, zip(sums.get(path, (0,) * 7), found, strict=True)))
        if condition(sums):
            break
        time.sleep(0.01)
    return sums


def test_connections_are_counted_by_client_service_and_endpoint(node, client, maps):
    for index, vip in enumerate(node.service.addresses):
        ip = node.second.record.ips[index]
        balance(maps, node.service.addresses, *((one, 80) for one in node.second.record.ips))
        for _ in range(3):
            assert client.dial(vip) == ["second", vip, "80"]
        path = traffic.Path(client.cookie, (vip, 80), (ip, 80))
        sums = sums_when(maps, lambda sums, path=path: path in sums and sums[path].closed == 3)
        found = sums[path]
        assert (found.opened, found.failed, found.closed) == (3, 0, 3)
        # TCP counts the FIN of a server as a byte, unless the client has closed before it.
        assert found.sent == 0 and (len("second") - 1) * 3 <= found.received <= len("second") * 3
        assert 0 < found.duration < 5
        assert 0 < found.rtt < 1


def test_a_failed_attempt_is_counted_as_such(node, client, maps):
    vip = node.service.addresses[0]
    balance(maps, (vip,), (node.second.ip, 81))
    assert client.dial(vip) == ["ConnectionRefusedError"]
    path = traffic.Path(client.cookie, (vip, 80), (node.second.ip, 81))
    sums = sums_when(maps, lambda sums: path in sums and sums[path].failed)
    assert (sums[path].opened, sums[path].failed, sums[path].closed) == (1, 1, 0)


def test_what_was_taken_is_not_taken_again(node, client, maps):
    vip = node.service.addresses[0]
    balance(maps, (vip,), (node.second.ip, 80))
    client.dial(vip)
    sums_when(maps, lambda sums: sums and all(one.closed for one in sums.values()))
    assert traffic.take(maps) == {}


def sockops_runs(node):
    """How often the kernel has run the program, by its own statistics (kernel.bpf_stats_enabled)."""
    shown = ["bpftool", "-j", "prog", "show", "pinned", node.pins.programs / "sockops"]
    return json.loads(subprocess.run(shown, check=True, capture_output=True).stdout).get("run_cnt", 0)


def test_bytes_cost_no_calls(node, client, maps):
    """A connection's program runs at its changes of state, not for its segments."""
    vip = node.service.addresses[0]
    balance(maps, (vip,), (node.second.ip, 82))
    server = apps.start(node.second, _SENDER)
    node.second.wait_listening(82)
    ask = f"import socket\ns = socket.create_connection(({vip!r}, 80))\ns.sendall(b'SIZE')\nwhile s.recv(1 << 16): pass"
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    switch.write_text("1")
    try:
        runs = []
        for size in ("1", "67108864"):
            began = sockops_runs(node)
            apps.run(client.pod, ask.replace("SIZE", size))
            sums_when(maps, lambda sums: any(one.closed for one in sums.values()))
            runs.append(sockops_runs(node) - began)
    finally:
        switch.write_text(before)
        server.kill()
    assert 0 < runs[0] <= runs[1] <= runs[0] + 5, runs


def test_a_walk_through_a_map_that_changes_all_the_time_comes_to_an_end():
    changing = bpf.Map(bpf.map_create("hash", 4, 4, 8))
    pair = [bytes(4), bytes([1] * 4)]
    changing.update(pair[0], bytes(4))
    for came, found in enumerate(changing.keys()):
        changing.delete(found)  # which starts the walk over
        changing.update(pair[found == pair[0]], bytes(4))
        assert came < 16
    changing.close()
