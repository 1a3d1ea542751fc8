"""DNS of pods: the mesh answers its own names, the server that was asked all others. The clients are real ones:
glibc's resolver, dnspython, and sockets used as c-ares uses them."""

import contextlib
import re
import sys
import urllib.request

import pytest
from tests.netns.dns_mesh import (  # noqa: F401 (fixtures)
    GATEWAY,
    GATEWAY6,
    MESH_CONFIG,
    OTHER,
    ask,
    captured,
    dns_client,
    dns_mesh,
    end,
    own_dns_mesh,
    serve,
    wait_captured,
)


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
