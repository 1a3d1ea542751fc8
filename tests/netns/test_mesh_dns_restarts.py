"""Names are resolved whatever becomes of the agent: killed, stopped, upgraded, hung."""

import json
import os
import signal
import sys
import time

import pytest
from tests.netns.dns_mesh import GATEWAY, ask, dns_client, dns_mesh, own_dns_mesh, wait_captured  # noqa: F401 (fixtures)
from tests.netns.test_node_run import process

#: Asks for a name of the mesh and for one of the cluster's in turn, 20 times a second each, by a new socket for each
#: query, connected or not, or by one that it keeps until it fails; each is tried three times, as resolvers do. Goes on
#: until its input ends, a second and a half at least; tells what failed.
CROWD = """
import json, select, socket, sys, time, dns.message
server, way = sys.argv[1:]
failures, count, retried, sock, began = [], 0, 0, None, time.monotonic()
def query(name):
    global sock
    if sock is None or way != "kept":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(1)
        if way != "unconnected":
            sock.connect((server, 53))
    asked = dns.message.make_query(name, "A")
    if way == "unconnected":
        sock.sendto(asked.to_wire(), (server, 53))
    else:
        sock.send(asked.to_wire())
    while True:
        data, peer = sock.recvfrom(65535)
        if int.from_bytes(data[:2]) == asked.id and peer == (server, 53):
            return dns.message.from_wire(data).answer[0][0].to_text()
print("up", flush=True)
while count < 60 or not select.select([sys.stdin], [], [], 0)[0]:
    time.sleep(max(0.0, began + count / 40 - time.monotonic()))
    count += 1
    name, wanted = [("both.internal", ("192.0.2.2", "192.0.2.99")), ("known.test", ("192.0.2.1",))][count % 2]
    for attempt in range(3):
        try:
            if query(name) in wanted:
                break
        except (OSError, IndexError) as error:
            retried += 1
            if sock is not None:
                sock.close()
            sock = None
    else:
        failures.append([time.monotonic() - began, name])
json.dump({"failures": failures, "retried": retried}, sys.stdout)
"""


def kill_worker(mesh):
    kill(mesh, "worker")


def kill_control(mesh):
    kill(mesh, "control_process")


def kill(mesh, module):
    pid = process(mesh.agent, module)
    assert pid, "signals to 0 go to the tests themselves"
    os.kill(pid, signal.SIGKILL)
    mesh.agent.wait_for(lambda: process(mesh.agent, module) not in (0, pid), "another process")


#: Tells how connecting to the first of these addresses fails, and what answers at the second.
DIAL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 3306), 5)
except OSError as error:
    print(type(error).__name__)
print(socket.create_connection((sys.argv[2], 3306), 5).recv(99).decode())
"""


def kill_all(mesh):
    """What only the proxy leads to is refused at once; what the kernel leads to goes on."""
    addresses = {row["host"]: row["allocated"] for row in mesh.agent.get("/services")}
    mesh.agent.kill()
    dialled = (addresses["far.internal"][0], addresses["red.internal"][0])
    assert mesh.lab.pods["default/client"].python(DIAL, *dialled).split() == ["ConnectionRefusedError", "red"]
    mesh.agent.start()


def stop_and_start(mesh):
    mesh.agent.stop()
    mesh.agent.start()


def upgrade(mesh):
    mesh.agent.upgrade()


def hang(mesh):
    """Longer than a heartbeat may be late."""
    pids = mesh.agent.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


DEEDS = [kill_worker, kill_control, kill_all, stop_and_start, upgrade, hang]


@pytest.mark.parametrize("deed", DEEDS, ids=lambda one: one.__name__)
def test_names_are_resolved_whatever_becomes_of_the_agent(mesh, client, deed):
    """RC-21."""
    crowd = [
        client.popen([sys.executable, "-c", CROWD, GATEWAY, way], stdin=-1, stdout=-1, text=True)
        for way in ("connected", "unconnected", "kept")
    ]
    for one in crowd:
        assert one.stdout.readline() == "up\n"
    deed(mesh)
    mesh.agent.wait_for(mesh.agent.ready, "the agent to be ready again")
    wait_captured(mesh)
    told = [json.loads(one.communicate("\n", timeout=30)[0]) for one in crowd]
    assert [one["failures"] for one in told] == [[], [], []]
    assert ask(client, "both.internal") == ["NOERROR", "-", "192.0.2.2"]
