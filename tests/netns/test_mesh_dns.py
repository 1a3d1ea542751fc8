"""DNS of pods: the mesh answers its own names, the server that was asked all others, whatever becomes of the agent. The
clients are real ones: glibc's resolver, dnspython, and sockets used as c-ares uses them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.netns.mesh import Mesh, running_mesh
from tests.netns.test_node_run import process

GATEWAY = "10.244.0.1"
GATEWAY6 = "fd00:10:244::1"
OTHER = "10.96.0.53"  # another server's address, of the node as well

MESH_CONFIG = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{dnsCapture: {}}}
"""

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: default}}
spec:
  hosts: ['{host}']
  ports: [{{number: 3306, name: tcp, protocol: TCP}}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{{address: {endpoint}}}]
  {more}
"""

#: What the cluster's server knows: a name of the mesh's, too, at an address that tells who has answered.
RECORDS = {"known.test": ["192.0.2.1", "2001:db8::1"], "both.internal": ["192.0.2.99"]}

BANNER = """
import socket, sys
server = socket.create_server(("0.0.0.0", 3306))
while True:
    accepted = server.accept()[0]
    accepted.sendall(sys.argv[1].encode())
    accepted.close()
"""


def serve(mesh, name, *addresses):
    """A DNS server of the cluster's on the node."""
    script = Path(__file__).with_name("dns_server.py")
    argv = [sys.executable, script, name, json.dumps(RECORDS), *addresses]
    server = mesh.lab.node.popen(argv, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "up\n"
    return server


def end(server):
    server.kill()
    server.communicate()


@pytest.fixture(scope="module")
def own_mesh() -> Iterator[Mesh]:
    with running_mesh("dns") as mesh:
        lab = mesh.lab
        mesh.apply(MESH_CONFIG.format("true"), "mesh")
        for name in ("red", "blue"):
            pod = lab.pod(name, labels={"app": name})
            pod.popen(["python3", "-c", BANNER, name])
            pod.wait_listening(3306)
        lab.service("web", ports=[80], selector={"app": "red"})
        lab.service("headless", ports=[80], selector={"app": "blue"}, addresses=())
        lab.service("dns", ports=[53], selector={"app": "none"}, addresses=[OTHER])
        lab.pod("client", labels={"app": "client"})
        lab.pod("unwilling", annotations={"nodemesh.io/dns": "disabled"})
        text = "".join(
            ENTRY.format(name=name, host=f"{name}.internal", endpoint=lab.pods[f"default/{name}"].ip, more="")
            for name in ("red", "blue")
        )
        text += ENTRY.format(name="far", host="far.internal", endpoint="far.test", more="").replace("STATIC", "DNS")
        text += ENTRY.format(name="both", host="both.internal", endpoint="192.0.2.3", more="addresses: [192.0.2.2]")
        mesh.apply(text, "entries")
        mesh.agent.wait_enrolled(lab.pods.values())
        server = serve(mesh, "cluster", GATEWAY, GATEWAY6)
        yield mesh
        end(server)


@pytest.fixture
def mesh(own_mesh) -> Iterator[Mesh]:
    yield own_mesh
    own_mesh.apply(MESH_CONFIG.format("true"), "mesh")
    wait_captured(own_mesh)


def captured(mesh):
    return {row["name"] for row in mesh.agent.get("/pods") if row["dns"]}


def wait_captured(mesh, *others):
    wanted = {"red", "blue", "client", *others}
    mesh.agent.wait_for(lambda: captured(mesh) == wanted, f"the DNS of {wanted} to be taken over, not {captured(mesh)}")


#: Asks by dnspython, which believes only the server that it has asked.
ASK = """
import sys, dns.message, dns.query, dns.flags, dns.rcode
server, name, kind, payload = sys.argv[1:]
query = dns.message.make_query(name, kind, use_edns=0 if int(payload) else None, payload=int(payload) or None)
try:
    answer = dns.query.udp(query, server, timeout=3)
except Exception as error:
    print(type(error).__name__)
else:
    print(dns.rcode.to_text(answer.rcode()), "TC" if answer.flags & dns.flags.TC else "-",
          *sorted(record.to_text() for rrset in answer.answer for record in rrset))
"""


def ask(pod, name, kind="A", server=GATEWAY, payload=0):
    return pod.python(ASK, server, name, kind, str(payload)).split()


@pytest.fixture
def client(mesh):
    return mesh.lab.pods["default/client"]


@pytest.mark.parametrize("server", [GATEWAY, GATEWAY6])
def test_names_of_the_mesh_are_answered_here_and_others_by_the_server(mesh, client, server):
    web = mesh.lab.services["default/web"]
    blue = mesh.lab.pods["default/blue"]
    for name in ("web.default.svc.cluster.local", "WEB.default.svc", "web"):
        assert ask(client, name, server=server) == ["NOERROR", "-", web.addresses[0]]
    assert ask(client, "web", "AAAA", server=server) == ["NOERROR", "-", web.addresses[1]]
    assert ask(client, "headless.default.svc.cluster.local", server=server) == ["NOERROR", "-", blue.ip]
    assert ask(client, "both.internal", server=server) == ["NOERROR", "-", "192.0.2.2"]
    assert ask(client, "both.internal", "AAAA", server=server) == ["NOERROR", "-"]
    assert ask(client, "known.test", server=server) == ["NOERROR", "-", "192.0.2.1"]
    assert ask(client, "known.test", "AAAA", server=server) == ["NOERROR", "-", "2001:db8::1"]
    assert ask(client, "nothing.test", server=server) == ["NXDOMAIN", "-"]
    said = ask(client, "whoami.test", "TXT", server=server)
    address = client.record.ips[":" in server]
    assert said[2:4] == ['"cluster"', f'"{address}"'], "the server sees the pod, as without the mesh"


def test_what_the_server_says_is_passed_on_as_it_is(client):
    assert ask(client, "truncated.test") == ["NOERROR", "TC"]
    assert ask(client, "big.test", "TXT") == ["NOERROR", "TC"], "without EDNS 512 bytes are all"
    assert len(ask(client, "big.test", "TXT", payload=4096)) == 2 + 10
    assert ask(client, "spoofed.test") == ["NOERROR", "-", "192.0.2.1"], "not what was sent in the answer's stead"


def test_a_pod_that_opts_out_asks_the_cluster(mesh):
    unwilling = mesh.lab.pods["default/unwilling"]
    assert ask(unwilling, "both.internal") == ["NOERROR", "-", "192.0.2.99"]
    assert ask(unwilling, "web") == ["NXDOMAIN", "-"]
    for name, by in (("unwilling", "its own nameserver alone"), ("client", "the mesh")):
        told = mesh.agent.get(f"/explain?method=GET&url=tcp://red.internal:3306&as=default/{name}")
        assert told["steps"][0]["text"] == f"pod default/{name} is enrolled, its DNS is answered by {by}"


RESOLVE = """
import socket, sys
for host in sys.argv[1:]:
    with socket.create_connection((host, 3306), 5) as sock:
        print(sock.recv(99).decode(), sock.getpeername()[0])
"""


def test_tcp_entries_on_one_port_are_told_apart_by_allocated_addresses(mesh, client):
    """By glibc's resolver, with the search domains of a pod."""
    found = [line.split() for line in client.python(RESOLVE, "red.internal", "blue.internal").splitlines()]
    assert [name for name, _ in found] == ["red", "blue"]
    rows = {row["host"]: row["allocated"] for row in mesh.agent.get("/services")}
    for name, peer in found:
        assert peer in rows[f"{name}.internal"]
        assert re.match(r"240\.240\.|2001:2::f0f0:", peer)


def test_a_server_that_cannot_be_reached_is_told_at_once(client):
    assert ask(client, "known.test", server=OTHER)[0] == "SERVFAIL"
    assert ask(client, "web", server=OTHER)[0] == "NOERROR"


#: Holds one connected socket; for each line asks for the name in it and tells the first answer's text.
HOLD = """
import socket, sys, dns.message
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(3)
sock.connect((sys.argv[1], 53))
for line in sys.stdin:
    name, kind = line.split()
    sock.send(dns.message.make_query(name, kind).to_wire())
    answer = dns.message.from_wire(sock.recv(65535))
    print(answer.answer[0][0].to_text() if answer.answer else answer.rcode(), flush=True)
"""


def test_a_connected_socket_follows_the_clusters_server(mesh, client):
    """RC-20: each query goes on by a socket of its own, so none is tied to a backend that is gone."""
    first = serve(mesh, "first", OTHER)
    held = client.popen([sys.executable, "-c", HOLD, OTHER], stdin=-1, stdout=-1, text=True)

    def again(question):
        held.stdin.write(question + "\n")
        held.stdin.flush()
        return held.stdout.readline().split()

    said = again("whoami.test TXT")
    assert said[0] == '"first"'
    assert again("whoami.test TXT")[2] != said[2], "another port for each query"
    end(first)
    assert again("known.test A") == ["2"], "SERVFAIL while nobody serves"
    second = serve(mesh, "second", OTHER)
    assert again("whoami.test TXT")[0] == '"second"'
    assert again("web A") == [mesh.lab.services["default/web"].addresses[0]]
    end(second)
    held.kill()
    held.communicate()


#: Sends many queries at once through one connected socket, as c-ares does; tells how many got which answer.
PARALLEL = """
import collections, socket, sys, dns.message
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(5)
sock.connect((sys.argv[1], 53))
names = {}
for number in range(150):
    query = dns.message.make_query(sys.argv[2 + number % 3], "A")
    query.id = number
    names[number] = sys.argv[2 + number % 3]
    sock.send(query.to_wire())
found = collections.Counter()
while names:
    answer = dns.message.from_wire(sock.recv(65535))
    assert answer.question[0].name.to_text(True) == names.pop(answer.id)
    found[answer.answer[0][0].to_text()] += 1
print(*sorted(found.items()))
"""


def test_parallel_queries_through_one_socket(mesh, client):
    names = ("web.default.svc.cluster.local", "known.test", "both.internal")
    told = client.python(PARALLEL, GATEWAY, *names)
    web = mesh.lab.services["default/web"].addresses[0]
    assert told.strip() == f"('{web}', 50) ('192.0.2.1', 50) ('192.0.2.2', 50)"


def refused(held):
    """Whether the held socket fails by now: nobody listens there any more."""
    with contextlib.suppress(BrokenPipeError):
        held.stdin.write("both.internal A\n")
        held.stdin.flush()
    return held.stdout.readline() == "" and held.wait(5) == 1


def test_the_switch_works_on_running_pods(mesh, client):
    held = client.popen([sys.executable, "-c", HOLD, GATEWAY], stdin=-1, stdout=-1, text=True)
    held.stdin.write("both.internal A\n")
    held.stdin.flush()
    assert held.stdout.readline() == "192.0.2.2\n"
    mesh.apply(MESH_CONFIG.format("false"), "mesh")
    mesh.agent.wait_for(lambda: captured(mesh) == set(), "the pods' DNS to be let go of")
    mesh.agent.wait_for(lambda: ask(client, "both.internal") == ["NOERROR", "-", "192.0.2.99"], "the cluster to answer")
    mesh.agent.wait_for(lambda: refused(held), "a socket of before to be told to open another")
    willing = mesh.lab.pod("willing", annotations={"nodemesh.io/dns": "enabled"})
    mesh.agent.wait_for(lambda: captured(mesh) == {"willing"}, "a pod to opt in")
    assert ask(willing, "both.internal") == ["NOERROR", "-", "192.0.2.2"]
    mesh.lab.namespace("default", {"nodemesh.io/dns": "enabled"})
    wait_captured(mesh, "willing")
    assert ask(client, "both.internal") == ["NOERROR", "-", "192.0.2.2"]
    mesh.lab.namespace("default", {})
    mesh.agent.wait_for(lambda: captured(mesh) == {"willing"}, "the namespace to be let go of")
    mesh.lab.delete(willing)


#: Has the port of the mesh's listener until its input ends.
OCCUPY = """
import socket, sys
sock = socket.socket(type=socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 15053))
print("up", flush=True)
sys.stdin.readline()
"""


def test_a_port_that_the_pod_uses_itself_is_named(mesh):
    mesh.lab.namespace("rival", {"nodemesh.io/dns": "disabled"})
    rival = mesh.lab.pod("rival", namespace="rival")
    mesh.agent.wait_enrolled([rival])
    holder = rival.popen([sys.executable, "-c", OCCUPY], stdin=-1, stdout=-1, text=True)
    assert holder.stdout.readline() == "up\n"
    mesh.lab.namespace("rival", {"nodemesh.io/dns": "enabled"})

    def row():
        return next(row for row in mesh.agent.get("/pods") if row["name"] == "rival")

    mesh.agent.wait_for(lambda: row()["dns_why_not"], "the reason to be told")
    assert "15053 (UDP) inside the pod (Address already in use)" in row()["dns_why_not"]
    assert row()["enrolled"] and not row()["dns"]
    assert ask(rival, "both.internal") == ["NOERROR", "-", "192.0.2.99"]
    holder.communicate("\n")
    wait_captured(mesh, "rival")
    assert ask(rival, "both.internal") == ["NOERROR", "-", "192.0.2.2"]
    mesh.lab.delete(rival)


def numbers(mesh):
    """The counters of queries by outcome."""
    page = urllib.request.urlopen(f"http://{mesh.agent.admin}/metrics").read().decode()
    return {key: float(value) for key, value in re.findall(r'nodemesh_dns_\w+_total{\w+="(\w+)"} (\S+)', page)}


def test_queries_are_counted(mesh, client):
    before = numbers(mesh)
    ask(client, "web")
    ask(client, "known.test")
    ask(client, "silent.test")
    after = numbers(mesh)
    assert after["answered"] - before["answered"] == 1
    assert after["forwarded"] - before["forwarded"] == 2


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
    kill(mesh, "control")


def kill(mesh, module):
    pid = process(mesh.agent, module)
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
