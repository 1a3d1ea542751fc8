"""What the running agent does to the kernel's side by itself: dead endpoints, other balancers, unknown addresses,
layouts of other versions."""

import socket

from tests.netns.mesh import PORT, running_mesh
from tests.netns.test_datapath_foreign import foreign
from tests.netns.test_mesh import RULES, URL, versions

from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.pins import Pins
from nodemesh.lab.service import LabPort

REGISTRY_ONLY = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
"""


def test_endpoints_that_refuse_are_left_out_and_come_back(mesh, pod):
    """One of two pods does not listen: half of the connects fail, until control has seen enough of them."""
    mesh.server("half", "v1")
    dead = mesh.server("half", "v2", listen=False)
    service = mesh.lab.service("half", ports=[LabPort(PORT, name="tcp")], selector={"app": "half"})
    mesh.settle()
    url = f"http://{service.addresses[0]}:{PORT}/"

    def refused():
        return [answer.error for answer in pod.request(url, count=20) if answer.error]

    mesh.agent.wait_for(lambda: refused() != [], "a connection to the dead endpoint")
    mesh.agent.wait_for(lambda: not refused() and not refused(), "the dead endpoint to be left out")
    assert f"{dead.ip}:{PORT}" in mesh.agent.get("/status")["kernel"]["endpoints_out"]
    (shown,) = (row for row in mesh.agent.get("/services") if row["host"].startswith("half."))
    counts = {row["address"]: row for row in shown["ports"][0]["kernel_endpoints"]}
    assert counts[dead.ip]["failed"] == counts[dead.ip]["opened"] > 0 and not counts[dead.ip]["closed"]
    (alive,) = counts.keys() - {dead.ip}
    assert counts[alive]["closed"] > 0 and counts[alive]["received"] > counts[alive]["sent"] > 0
    assert not counts[alive]["failed"]
    listener = "import socket\ns = socket.create_server(('', 9080))\nwhile True: s.accept()"
    dead.popen(["python3", "-c", listener])
    mesh.agent.wait_for(lambda: not mesh.agent.get("/status")["kernel"]["endpoints_out"], "its return", 20.0)


def test_rules_hold_where_another_balancer_rewrites_the_address_first(mesh):
    """RC-01: a program at the pod itself, there before ours, as Cilium's where it is not kept to the root."""
    mesh.apply(RULES.replace("SUBSET", "v1"))
    vip = mesh.lab.services["default/web"].addresses[0]
    endpoint = mesh.lab.pods["default/web-v2"].ip
    late = mesh.lab.pod("late", annotations={"nodemesh.io/mesh": "disabled"})
    with foreign(late.cgroup.parent, vip, endpoint):
        url = f"http://{vip}:{PORT}/"
        assert versions(late.request(url, count=5)) == {"v2"}, "the other balancer works"
        enrol(mesh, late)
        assert versions(late.request(url, count=5)) == {"v1"}
        assert mesh.agent.get("/status")["kernel"]["foreign_programs"] == ["cil_sock4_conn (connect4)"]
    mesh.lab.delete(late)


def enrol(mesh, pod):
    """Take the annotation back that keeps the pod out."""
    for path in mesh.lab.manifests_folder.glob("*.yaml"):
        path.write_text(path.read_text().replace("disabled", "enabled"))
    mesh.agent.wait_enrolled([pod])


def test_registry_only_holds_for_addresses_that_nobody_knows(mesh, pod):
    """The node's own address stands for an address that is in no registry."""
    gateway = pod.python(
        "print([line.split()[2] for line in open('/proc/net/route') if line.split()[1] == '00000000'][0])"
    )
    address = socket.inet_ntoa(int(gateway, 16).to_bytes(4, "little"))
    code = (
        "import socket, sys\n"
        "sock = socket.socket()\nsock.settimeout(3)\n"
        "try:\n    sock.connect((sys.argv[1], 7777)); sock.sendall(b'x'); print(sock.recv(9))\n"
        "except OSError as error:\n    print(type(error).__name__)\n"
    )
    assert pod.python(code, address) == "ConnectionRefusedError\n", "it gets there, where nobody listens"
    mesh.apply(REGISTRY_ONLY, "mesh")
    assert pod.python(code, address) in ("b''\n", "ConnectionResetError\n"), "the proxy has taken and closed it"
    assert versions(pod.request(URL, count=20)) == {"v1", "v2"}
    own = pod.popen(["python3", "-c", "import socket; s = socket.create_server(('127.0.0.1', 7777)); s.accept()"])
    pod.wait_listening(7777)
    assert pod.python(code, "127.0.0.1") in ("b''\n", "ConnectionResetError\n")
    own.wait(5)
    mesh.agent.withdraw("mesh")
    assert pod.python(code, address) == "ConnectionRefusedError\n"


def test_what_another_version_left_goes_once_this_one_is_ready():
    """RC-11, RC-12: an upgrade to another layout ends with one set of programs and maps."""
    with running_mesh("layout") as mesh:
        assert mesh.agent.stop() == 0
        left = Pins(mesh.lab.bpffs, LAYOUT + 1)
        left.maps.mkdir(parents=True)
        left.programs.mkdir(parents=True)
        mesh.agent.start()
        mesh.agent.wait_for(lambda: not left.maps.parent.exists(), "the other layout to be removed")
        assert Pins(mesh.lab.bpffs, LAYOUT).maps.is_dir()
