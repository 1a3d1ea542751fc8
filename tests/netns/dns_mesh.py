"""A mesh of its own whose pods' DNS is taken over, beside a server of the cluster's, and what asks there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.netns.mesh import Mesh, running_mesh

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


@pytest.fixture(scope="module", name="own_mesh")
def own_dns_mesh() -> Iterator[Mesh]:
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


@pytest.fixture(name="mesh")
def dns_mesh(own_mesh) -> Iterator[Mesh]:
    yield own_mesh
    own_mesh.apply(MESH_CONFIG.format("true"), "mesh")
    wait_captured(own_mesh)


def captured(mesh):
    return {row["name"] for row in mesh.agent.get("/pods") if row["dns"]}


def wait_captured(mesh, *others):
    wanted = {"red", "blue", "client", *others}
    mesh.agent.wait_for(lambda: captured(mesh) == wanted, f"the DNS of {wanted} to be taken over, not {captured(mesh)}")


def ask(pod, name, kind="A", server=GATEWAY, payload=0):
    return pod.python(ASK, server, name, kind, str(payload)).split()


@pytest.fixture(name="client")
def dns_client(mesh):
    return mesh.lab.pods["default/client"]
