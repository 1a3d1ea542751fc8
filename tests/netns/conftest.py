"""Two pods on a wire, each a network namespace and a cgroup, and the datapath loaded in a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodemesh.datapath import bpffs, cgroups, namespaces
from nodemesh.datapath.loader import load
from nodemesh.datapath.maps import Maps
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import uninstall

BPF_DIR = Path(__file__).parents[2] / "bpf"

#: In the server's namespace: where the direct way leads, over both families.
VIP4, VIP6 = "10.96.0.10", "fd00:96::10"
SERVER4, SERVER6 = "10.77.0.3", "fd00:77::3"
CLIENT4, CLIENT6 = "10.77.0.2", "fd00:77::2"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Pod:
    """A namespace and a cgroup; `uid` is what the datapath calls it."""

    uid: str
    cgroup: Path

    @property
    def netns(self) -> int:
        return os.open(f"/run/netns/{self.uid}", os.O_RDONLY | os.O_CLOEXEC)

    def cookie(self) -> int:
        fd = self.netns
        try:
            with namespaces.open_socket(fd, socket.AF_INET) as sock:
                return namespaces.netns_cookie(sock)
        finally:
            os.close(fd)

    def listen(self, address: str, port: int) -> socket.socket:
        fd = self.netns
        try:
            return namespaces.open_listener(fd, address, port)
        finally:
            os.close(fd)

    def start(self, code: str) -> subprocess.Popen[str]:
        """Python code as a process of the pod."""
        join = f'echo $$ > {self.cgroup}/cgroup.procs; exec nsenter --net=/run/netns/{self.uid} "$@"'
        command = ["bash", "-c", join, "pod", sys.executable, "-c", "import socket, time\n" + code]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, code: str) -> str:
        process = self.start(code)
        out, _ = process.communicate(timeout=20)
        return out.strip()


def make_pod(name: str, parent: Path) -> Pod:
    pod = Pod(f"{name}-{os.getpid()}", parent / f"{name}-{os.getpid()}")
    pod.cgroup.mkdir()
    ip("netns", "add", pod.uid)
    ip("-n", pod.uid, "link", "set", "lo", "up")
    return pod


def remove_pod(pod: Pod) -> None:
    for pid in cgroups.pids(pod.cgroup):
        os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", pod.uid], check=False, capture_output=True)
    for _ in range(100):
        try:
            pod.cgroup.rmdir()
            return
        except OSError:  # its last process is still dying
            subprocess.run(["sleep", "0.02"], check=True)


@dataclass
class Wire:
    client: Pod
    server: Pod


@pytest.fixture(scope="module")
def wire():
    root = cgroups.find_mount() / f"nodemesh-test-{os.getpid()}"
    root.mkdir()
    pods = [make_pod("client", root), make_pod("server", root)]
    client, server = pods
    try:
        ip("-n", client.uid, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", server.uid)
        for pod, v4, v6 in ((client, CLIENT4, CLIENT6), (server, SERVER4, SERVER6)):
            ip("-n", pod.uid, "addr", "add", f"{v4}/24", "dev", "eth0")
            ip("-n", pod.uid, "addr", "add", f"{v6}/64", "dev", "eth0", "nodad")
            ip("-n", pod.uid, "link", "set", "eth0", "up")
        ip("-n", server.uid, "addr", "add", f"{VIP4}/32", "dev", "lo")
        ip("-n", server.uid, "addr", "add", f"{VIP6}/128", "dev", "lo", "nodad")
        ip("-n", client.uid, "route", "add", "default", "via", SERVER4)
        ip("-n", client.uid, "-6", "route", "add", "default", "via", SERVER6)
        yield Wire(client, server)
    finally:
        for pod in pods:
            remove_pod(pod)
        root.rmdir()


@pytest.fixture(scope="module")
def loaded():
    """The programs and maps, pinned for this run alone."""
    pins = Pins(bpffs.MOUNT_POINT / f"nodemesh-test-{os.getpid()}")
    load(BPF_DIR, pins)
    yield pins
    uninstall(pins)
    shutil.rmtree(pins.root, ignore_errors=True)


@pytest.fixture
def maps(loaded):
    with Maps(loaded) as opened:
        opened.configure()
        yield opened
        for name in ("pods", "services", "networks", "backends", "origins", "flows"):
            for key in list(opened[name].keys()):
                opened[name].delete(key)
