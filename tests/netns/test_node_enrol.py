"""Enrolment against real pods: hooked, unhooked, found again by a successor."""

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nodemesh.config.load import load_text
from nodemesh.datapath import attach
from nodemesh.datapath.heartbeat import Heartbeat
from nodemesh.datapath.maps import LAYOUT
from nodemesh.datapath.origin import OriginalDestinations
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import uninstall
from nodemesh.lab import Lab, LabPod
from nodemesh.lab.place import ProcessPlace
from nodemesh.node.channel import Channel
from nodemesh.node.enrol import Enrolment
from nodemesh.node.kernel import Kernel
from nodemesh.node.listeners import Listeners
from nodemesh.node.options import Ebpf, RunOptions
from nodemesh.node.store import FdStore, Put, StoreClient, ToSupervisor
from nodemesh.node.views import ViewNumbers
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}]}]
"""


class Node:
    """Control's part of a node without its event loop: a store, a kernel, an enrolment; `restart` makes them anew."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.pins = Pins(lab.bpffs, LAYOUT)
        self.store = FdStore()
        self.options = RunOptions(
            node=lab.node_name, ebpf=Ebpf.REQUIRE, cgroup_root=str(lab.cgroup_root), bpffs=str(lab.bpffs), workers=1
        )
        self._answers: list[threading.Thread] = []
        self.dialled: list[tuple[str, int]] = []
        self.restart()

    def restart(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.channel: Channel[ToSupervisor] = Channel(ours, ToSupervisor)
        self.store.give(self.channel)
        client = StoreClient(theirs)
        client.load()
        self.kernel = Kernel(self.options)
        self.listeners = Listeners(client, lambda message, fds: None)
        self.numbers = ViewNumbers()
        self.enrolment = Enrolment(self.kernel, self.listeners, self.lab.node_name, self.numbers.number, time.time)
        self.heartbeat = Heartbeat(self.kernel.maps["heartbeats"].fd, 0)

    def look(self) -> dict[str, str]:
        """Read the lab's manifests and act on them; why each pod is not enrolled (empty: it is)."""
        texts = [path.read_text() for path in sorted(self.lab.manifests_folder.glob("*.yaml"))]
        registry = Store()
        snapshot = registry.apply("lab", [item for text in [*texts, RULE] for item in load_text(text, "lab").objects])
        self.enrolment.choose(snapshot)
        self.numbers.assign(Views(compile_tables(snapshot)), self.enrolment.clients())
        self.kernel.apply(self.numbers.numbered())
        self.enrolment.reconcile()
        self._pump()
        return {f"{row.namespace}/{row.name}": row.why_not for row in self.enrolment.rows()}

    def _pump(self) -> None:
        while True:
            try:
                word, fds = self.channel.receive()
            except BlockingIOError:
                return
            if isinstance(word, Put):
                self.store.put(word.name, fds[0], word.note)
            else:
                self.store.drop(word.name)

    def answer_one(self) -> None:
        """Accept one connection on any listener, note what it dialled, and answer as the proxy."""
        origins = OriginalDestinations(self.kernel.maps["flows"].fd)
        sockets = [socket.socket(fileno=os.dup(listener.fds.sockets[0])) for listener in self.listeners]
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.heartbeat.beat()
            for sock in sockets:
                sock.settimeout(0.05)
                try:
                    connection, _ = sock.accept()
                except TimeoutError:
                    continue
                self.dialled.append(origins.take(connection) or ("unknown", 0))
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nproxy")
                connection.close()
                return

    def ask(self, pod: LabPod, url: str = "http://web/") -> Any:
        """The body that the pod gets while this node answers as the proxy."""
        self.heartbeat.beat()
        thread = threading.Thread(target=self.answer_one, daemon=True)
        thread.start()
        (answer,) = pod.request(url)
        return answer.body if answer.status == 200 else answer.error


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab("enrol") as made:
        yield made
        uninstall(Pins(made.bpffs, LAYOUT))


def serve(lab: Lab) -> LabPod:
    server = lab.pod("web-1", labels={"app": "web"}, ports={"http": 80})
    service = (
        "import http.server\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "  def do_GET(self):\n"
        "    self.send_response(200); self.send_header('content-length', '6'); self.end_headers()\n"
        "    self.wfile.write(b'direct')\n"
        "http.server.HTTPServer(('0.0.0.0', 80), H).serve_forever()\n"
    )
    server.popen(["python3", "-c", service])
    server.wait_listening(80)
    lab.service("web", ports=[80], selector={"app": "web"})
    return server


def test_a_pod_is_enrolled_and_its_connects_arrive_with_what_they_dialled(lab):
    client = lab.pod("client")
    serve(lab)
    node = Node(lab)
    assert node.look() == {"default/client": "", "default/web-1": ""}
    assert node.ask(client) == "proxy"
    assert node.dialled == [(lab.services["default/web"].addresses[0], 80)]


def test_opting_out_and_deletion_unhook_a_pod(lab):
    client = lab.pod("client", labels={"nodemesh.io/mesh": "disabled"})
    server = serve(lab)
    node = Node(lab)
    assert "opts out" in node.look()["default/client"]
    assert attach.attached_pods(node.pins) == {server.record.uid}
    assert client.request("http://web/")[0].body == "direct"
    lab.delete(server)
    assert "default/web-1" not in node.look()
    assert attach.attached_pods(node.pins) == set()
    node.look()
    assert len(node.store) == 0
    assert node.kernel.maps.enrolled() == {}


def test_a_pod_without_a_cgroup_yet_is_named_with_the_reason_and_enrolled_when_it_comes(lab):
    node = Node(lab)
    lab.pod("late")
    manifests = {path: path.read_text() for path in lab.manifests_folder.glob("*.yaml")}
    late = lab.pods["default/late"]
    lab.delete(late)
    for path, text in manifests.items():  # the API server knows the pod, the node has nothing of it
        path.write_text(text)
    assert node.look() == {"default/late": f"its cgroup (pod{late.record.uid}) does not exist yet"}
    (lab.cgroup_root / "kubepods" / f"pod{late.record.uid}").mkdir()
    assert "no process runs" in node.look()["default/late"]
    (lab.cgroup_root / "kubepods" / f"pod{late.record.uid}").rmdir()


def test_pods_that_went_while_no_agent_ran_leave_nothing(lab):
    gone = lab.pod("gone", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "25"})
    serve(lab)
    node = Node(lab)
    node.look()
    maps = node.kernel.maps
    assert (len(maps.enrolled()), len(list(maps["captures"].keys()))) == (2, 1)
    lab.delete(gone)
    node.restart()
    node.look()
    node.enrolment.finish_start()
    assert len(node.kernel.maps.enrolled()) == 1
    assert list(maps["captures"].keys()) == list(maps["ranges"].keys()) == []


def test_a_successor_takes_hooks_and_listeners_over(lab):
    client = lab.pod("client")
    serve(lab)
    node = Node(lab)
    node.look()
    links = attach.attached(node.pins)
    before = {listener.name: os.fstat(listener.fds.sockets[0]).st_ino for listener in node.listeners}
    numbers = {listener.name: listener.message.id for listener in node.listeners}
    node.restart()
    node.look()
    node.enrolment.finish_start()
    node.listeners.drop_left()
    after = attach.attached(node.pins)
    assert [(link.pod, link.hook, link.target) for link in after] == [
        (link.pod, link.hook, link.target) for link in links
    ]
    assert {listener.name: os.fstat(listener.fds.sockets[0]).st_ino for listener in node.listeners} == before
    assert {listener.name: listener.message.id for listener in node.listeners} == numbers
    assert node.ask(client) == "proxy"
    for _ in range(3):
        node.restart()
        node.look()
    assert len(attach.attached(node.pins)) == len(links)


def test_a_pod_that_moves_through_init_containers_and_has_a_monitor_from_the_host(lab):
    """RC-18. As CRI-O lays pods out: a conmon of the host's network beside the containers, which come one after the
    other, each with its own cgroup. The pod is enrolled once, in its own namespace, from the first container on."""
    client = lab.pod("client")
    serve(lab)
    pod = client.cgroup.parent
    conmon = ProcessPlace("conmon", pod).popen(
        ["sleep", "60"]
    )  # in the pod's own directory it is the first that is found
    node = Node(lab)
    assert node.look()["default/client"] == ""
    cookies = node.kernel.maps.enrolled().keys()
    for name in ("crio-init.scope", "crio-app.scope"):
        container = pod / name
        container.mkdir()
        place = ProcessPlace(name, container, client.pid)
        node.heartbeat.beat()
        answering = threading.Thread(target=node.answer_one, daemon=True)
        answering.start()
        # Dials at once, from its very first instruction on.
        said = place.python("import urllib.request; print(urllib.request.urlopen('http://web/').read().decode())")
        assert said == "proxy\n"
        place.reap()
        assert node.look()["default/client"] == ""
    assert node.kernel.maps.enrolled().keys() == cookies
    conmon.kill()
    conmon.wait()


def test_one_pods_trouble_is_that_pods_and_readiness_does_not_wait_for_it(lab):
    """RC-25: what a pod does to itself, by its annotations or its ports, costs the other pods and the node nothing."""
    serve(lab)
    client = lab.pod("client")
    networks = ",".join(f"10.{number // 250}.{number % 250}.0/24" for number in range(16_000))
    lab.pod("greedy", annotations={"traffic.sidecar.istio.io/excludeOutboundIPRanges": networks})
    node = Node(lab)
    why_not = node.look()
    assert why_not.pop("default/greedy").startswith("the pod's annotations") and not any(why_not.values())
    assert node.enrolment.waiting() == {}
    assert [one.pod.name for one in node.enrolment.failing()] == ["greedy"]
    assert node.ask(client) == "proxy"


def test_what_the_node_has_run_out_of_is_the_nodes_trouble(lab, monkeypatch):
    lab.pod("client")
    node = Node(lab)

    def exhausted(place):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(node.kernel, "listeners", exhausted)
        node.look()
        assert list(node.enrolment.waiting()) == ["default/client"]
    assert node.look() == {"default/client": ""} and not node.enrolment.waiting() and not node.enrolment.failing()


def test_no_port_that_an_app_wants_is_taken_and_none_keeps_a_pod_out(lab):
    """An app may listen at any port, at every address and before the pod is enrolled."""
    serve(lab)
    client = lab.pod("client")
    code = "import socket, time\nserver = socket.create_server((%r, %d))\nprint('ready', flush=True)\ntime.sleep(600)"
    before = client.popen(["python3", "-c", code % ("", 15001)], stdout=-1, text=True)
    assert before.stdout.readline() == "ready\n"
    node = Node(lab)
    assert not any(node.look().values())
    assert node.ask(client) == "proxy"
    later = client.popen(["python3", "-c", code % ("", 15006)], stdout=-1, text=True)
    assert later.stdout.readline() == "ready\n"
    assert node.ask(client) == "proxy"
