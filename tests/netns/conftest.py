"""A node of the lab with the datapath loaded in its own folder, and a pod that the datapath has taken over."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.netns import apps
from tests.netns.apps import PATIENCE, App
from tests.netns.mesh import clean_mesh, client_pod, own_lab, shared_mesh  # noqa: F401 (fixtures)

from nodemesh.datapath import cgroups, namespaces
from nodemesh.datapath.attach import attach, detach, steer
from nodemesh.datapath.heartbeat import Heartbeat
from nodemesh.datapath.loader import load
from nodemesh.datapath.maps import LAYOUT, Maps, ServiceEntry, ServiceKey, pack_address
from nodemesh.datapath.origin import OriginalDestinations
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import uninstall
from nodemesh.lab import Lab, LabPod, LabService
from nodemesh.routing.frontend import Frontend

BPF_DIR = Path(__file__).parents[2] / "bpf"

#: Seconds for which a test's beat counts as fresh.
HEARTBEAT_LIMIT = PATIENCE

_SERVER = """
import socket, sys
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=99)
while True:
    accepted = server.accept()[0]
    accepted.sendall(sys.argv[1].encode())
    accepted.close()
"""

_DIAL = """
import socket, sys
sock = socket.socket(getattr(socket, sys.argv[1]))
sock.settimeout(90)
try:
    sock.connect((sys.argv[2], int(sys.argv[3])))
    print(sock.recv(99).decode(), *sock.getpeername()[:2])
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class Node:
    """The lab with a client pod and two others, all of which answer with their names at port 80. `service` leads to the
    first, `own` to the client itself."""

    lab: Lab
    client: LabPod
    first: LabPod
    second: LabPod
    service: LabService
    own: LabService
    pins: Pins

    def cgroup(self, pod: LabPod) -> Path:
        found = cgroups.find_pod(self.lab.cgroup_root, pod.record.uid)
        assert found is not None
        return found


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    with Lab("datapath", dual_stack=True) as lab:
        pods = [lab.pod(name, labels={"app": name}) for name in ("client", "first", "second")]
        service, own = (lab.service(name, ports=[80], selector={"app": name}) for name in ("first", "client"))
        for pod in pods:
            apps.start(pod, _SERVER, pod.name)
            pod.wait_listening(80)
        pins = Pins(lab.bpffs, LAYOUT)
        load(BPF_DIR, pins)
        client, first, second = pods
        yield Node(lab, client, first, second, service, own, pins)
        uninstall(pins)


@pytest.fixture
def maps(node: Node) -> Iterator[Maps]:
    """The maps, empty but for the settings, and emptied again."""
    with Maps(node.pins) as opened:
        opened.configure(HEARTBEAT_LIMIT)
        yield opened
        for name in ("pods", "services", "networks", "backends", "nameservers", "flows", "traffic"):
            for key in list(opened[name].keys()):
                opened[name].delete(key)


@dataclass
class Enrolled:
    """A pod taken over, and the proxy's ends: its listeners and what it can ask for."""

    pod: LabPod
    maps: Maps
    cookie: int
    listeners: dict[str, socket.socket]
    heartbeat: Heartbeat
    destinations: OriginalDestinations

    def serve(self, address: str, entry: ServiceEntry, port: int = 80, view: int = 0) -> None:
        """Have connections to (address, port) treated as `entry` says."""
        self.maps["services"].update(ServiceKey(view, pack_address(address), port).pack(), entry.pack())

    def dial(self, address: str, port: int = 80, family: str = "") -> list[str]:
        """What an app of the pod gets: [answer, peer's address, peer's port], or [the error's name]."""
        return dial(self.pod, address, port, family)

    def start_dial(self, address: str, port: int = 80, family: str = "") -> App:
        return start_dial(self.pod, address, port, family)

    def answer(self, listener: str = "127.0.0.1", text: bytes = b"proxy") -> tuple[str, int] | None:
        """Accept one connection as the proxy does and answer it; its original destination."""
        self.listeners[listener].settimeout(PATIENCE)
        accepted, peer = self.listeners[listener].accept()
        with accepted:
            dialled = self.destinations.take(accepted, peer)
            accepted.sendall(text)
        return dialled


class View:
    """What plan() asks of a client's view."""

    def __init__(self, *frontends: Frontend) -> None:
        self._frontends = frontends

    def frontends(self) -> tuple[Frontend, ...]:
        return self._frontends


def start_dial(pod: LabPod, address: str, port: int = 80, family: str = "") -> App:
    chosen = family or ("AF_INET6" if ":" in address else "AF_INET")
    return apps.start(pod, _DIAL, chosen, address, str(port))


def dial(pod: LabPod, address: str, port: int = 80, family: str = "") -> list[str]:
    """What an app of the pod gets: [answer, peer's address, peer's port], or [the error's name]."""
    return finish(start_dial(pod, address, port, family))


def finish(app: App) -> list[str]:
    return app.finish().split()


@contextmanager
def enrol(node: Node, maps: Maps, pod: LabPod, view: int = 0) -> Iterator[Enrolled]:
    """Take the pod over for the block, with listeners and a fresh heartbeat."""
    netns = namespaces.netns_fd(pod.pid)
    listeners = {address: namespaces.open_listener(netns, address, 0) for address in ("127.0.0.1", "::1")}
    cookie = namespaces.netns_cookie(listeners["127.0.0.1"])
    for listener in listeners.values():
        maps.set_listener(cookie, listener)
    maps.enrol(cookie, view, addresses=pod.record.ips)
    heartbeat = Heartbeat(maps["heartbeats"].fd, 0)
    heartbeat.beat()
    steer(node.pins, pod.record.uid, netns, cookie)
    attach(node.pins, pod.record.uid, node.cgroup(pod))
    try:
        yield Enrolled(pod, maps, cookie, listeners, heartbeat, OriginalDestinations(maps["flows"].fd))
    finally:
        detach(node.pins, pod.record.uid)
        for listener in listeners.values():
            listener.close()
        os.close(netns)


@pytest.fixture
def client(node: Node, maps: Maps) -> Iterator[Enrolled]:
    with enrol(node, maps, node.client) as enrolled:
        yield enrolled
