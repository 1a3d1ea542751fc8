"""The lab as a whole: a node is made, pods and services come and go, everything is removed afterwards."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from . import cgroup, forwarder, manifests, owner, pause
from .addresses import AddressPool, IpFamily
from .manifests import NodeRecord
from .network import NodeNetwork
from .owner import LabError
from .place import ProcessPlace
from .pod import LabPod, PodRecord
from .service import CLUSTER_DOMAIN, LabPort, LabService

#: What starts pods, and enters them: util-linux, and a shell.
TOOLS = ("sh", "unshare", "mount", "nsenter", "sleep")

_FORWARDER_TIMEOUT = 60.0  # seconds: a machine that is busy, or interpreted, takes long to start it


class Lab:
    """A node with pods. A context manager: `with Lab("demo") as lab: pod = lab.pod("client")`.

    name         part of everything that it leaves on the machine, beside the owner's pid and start time
    dual_stack   pods and services get an IPv6 address beside the IPv4 one
    region, zone the node's topology labels

    Needs root, cgroup v2 and util-linux; entering raises LabError if one is missing. What dead owners left behind is
    removed on the way in.
    """

    def __init__(self, name: str, *, dual_stack: bool = False, region: str = "", zone: str = "") -> None:
        self.id = owner.identity(name)
        self._owner = os.getpid()
        self.node_name = f"{name}-node"
        self.folder = owner.RUN / self.id
        self.manifests_folder = self.folder / "manifests"
        self.bpffs = owner.BPFFS / self.id
        self._addresses = AddressPool((IpFamily.IPV4, IpFamily.IPV6) if dual_stack else (IpFamily.IPV4,))
        topology = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
        self._node = NodeRecord(
            name=self.node_name,
            labels={key: value for key, value in topology.items() if value},
            ips=tuple(self._addresses.gateway(family) for family in self._addresses.families),
        )
        self._namespaces: dict[str, Mapping[str, str] | None] = {}  # None: the user's own YAML has it
        self._pods: dict[str, LabPod] = {}
        self._services: dict[str, LabService] = {}
        self._pauses: dict[str, subprocess.Popen[bytes]] = {}
        self._forwarding = False
        self._kept = False

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces and cgroups: run it as root")
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            names = ", ".join(missing)
            raise LabError(f"the lab needs {names}, which nodemesh's own image has not: run it on a machine")
        owner.sweep()
        self.cgroup_root = owner.cgroup_mount() / self.id
        try:
            self.cgroup_root.mkdir()
        except FileExistsError:
            raise LabError(f"a lab named {self.id} runs already: give each lab of a process its own name") from None
        except OSError as error:
            raise LabError(
                f"cannot make the cgroup {self.cgroup_root} ({error.strerror}): is it writable here?"
            ) from None
        try:
            self._make_node()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept:
            self._network.close()
        else:
            self.close()

    def close(self) -> None:
        """Remove everything: processes, and with them namespaces and links; cgroups, pins, files. A forked child of the
        owner, on its way out of the same `with`, removes nothing."""
        if os.getpid() != self._owner:
            return
        if hasattr(self, "_network"):
            self._network.close()
        owner.remove(self.id)
        for process in self._pauses.values():
            process.wait()
        for place in (*self._pods.values(), *self._places()):
            place.reap()
        self._pauses.clear()
        self._pods.clear()

    def keep(self) -> None:
        """Let the lab live on when its owner ends; owner.py's `kept` names it then. The script `enter POD COMMAND…`
        in its folder starts processes in its pods."""
        cases = [f'{pod.name}) shift; exec {shlex.join(pod.command([]))} "$@" ;;' for pod in self._pods.values()]
        names = ", ".join(pod.name for pod in self._pods.values())
        script = self.folder / "enter"
        body = "\n".join(cases)
        script.write_text(f'#!/bin/sh\ncase "$1" in\n{body}\nesac\necho "pods: {names}" >&2\nexit 2\n')
        script.chmod(0o755)
        owner.keep(self.id)
        self._kept = True

    @property
    def pods(self) -> Mapping[str, LabPod]:
        """The running pods by `namespace/name`."""
        return self._pods

    @property
    def services(self) -> Mapping[str, LabService]:
        """The services by `namespace/name`."""
        return self._services

    def namespace(self, name: str, labels: Mapping[str, str] | None = None, *, manifest: bool = True) -> None:
        """Declare a namespace, for its labels or to leave it out of the lab's manifests because the user's own YAML has
        it (`manifest=False`). Namespaces of pods and services come by themselves."""
        self._namespaces[name] = dict(labels or {}) if manifest else None
        self._publish()

    def pod(
        self,
        name: str,
        *,
        namespace: str = "default",
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        ports: Mapping[str, int] | None = None,
        service_account: str = "default",
        owner: str = "",
        ready: bool = True,
    ) -> LabPod:
        """Start a pod that sleeps; processes are started in it by `run`, `popen`, `python` and `request`."""
        uid = str(uuid.uuid4())
        record = PodRecord(
            name=name,
            namespace=namespace,
            uid=uid,
            container_id=hashlib.sha256(uid.encode()).hexdigest(),
            labels=dict(labels or {}),
            annotations=dict(annotations or {}),
            ips=self._addresses.take_pod(),
            ports=dict(ports or {}),
            service_account=service_account,
            owner=owner,
            ready=ready,
        )
        if record.key in self._pods:
            raise LabError(f"pod {record.key} exists already")
        directory = self.cgroup_root / "kubepods" / "besteffort" / f"pod{uid}" / record.container_id
        directory.mkdir(parents=True)
        self._write_names(record)
        holder = pause.start(directory, name, self._names_folder(record))
        self._pauses[record.key] = holder
        pod = LabPod(record, directory, holder.pid)
        self._network.join(holder.pid, record.ips)
        self._pods[record.key] = pod
        self._namespaces.setdefault(namespace, {})
        self._publish()
        return pod

    def delete(self, pod: LabPod) -> None:
        """End a pod: its processes are killed, its namespaces, cgroup and manifest go."""
        del self._pods[pod.key]
        self._publish()
        cgroup.remove(pod.cgroup.parent)
        self._pauses.pop(pod.key).wait()
        pod.reap()

    def set_ready(self, pod: LabPod, ready: bool) -> None:
        """Change a pod's readiness, as its probe would."""
        pod.record = msgspec.structs.replace(pod.record, ready=ready)
        self._publish()

    def service(
        self,
        name: str,
        *,
        ports: Iterable[LabPort | int],
        selector: Mapping[str, str],
        namespace: str = "default",
        addresses: Iterable[str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        manifest: bool = True,
    ) -> LabService:
        """Add a service. `addresses` are its virtual ones: None to be given some, () for a headless service. A bare
        number is a port named `http`. With `manifest=False` it is left out of the lab's manifests."""
        service = LabService(
            name=name,
            namespace=namespace,
            addresses=self._addresses.take_service() if addresses is None else tuple(addresses),
            ports=tuple(LabPort(port, name="http") if isinstance(port, int) else port for port in ports),
            selector=dict(selector),
            labels=dict(labels or {}),
            annotations=dict(annotations or {}),
            manifest=manifest,
        )
        if service.key in self._services:
            raise LabError(f"service {service.key} exists already")
        for address in service.addresses:
            self._network.add_service_address(address)
        self._services[service.key] = service
        self._namespaces.setdefault(namespace, {})
        self._publish()
        return service

    def delete_service(self, service: LabService) -> None:
        """Remove a service, its addresses and its names."""
        del self._services[service.key]
        self._publish()
        for address in service.addresses:
            self._network.remove_service_address(address)

    def manifests(self) -> str:
        """The node, the namespaces, the services and the pods as YAML, as kubectl would print them."""
        return manifests.documents(
            self._node,
            {name: labels for name, labels in sorted(self._namespaces.items()) if labels is not None},
            [pod.record for pod in self._pods.values()],
            [service for service in self._services.values() if service.manifest],
        )

    def _make_node(self) -> None:
        self.manifests_folder.mkdir(parents=True)
        for part in ("node", "host", "kubepods"):
            (self.cgroup_root / part).mkdir()
        holder = pause.start(self.cgroup_root / "node", self.node_name)
        self._pauses[""] = holder
        self.node = ProcessPlace(self.node_name, self.cgroup_root / "node", holder.pid)
        self.host = ProcessPlace("host", self.cgroup_root / "host")
        self._network = NodeNetwork(holder.pid, self._addresses)
        self._network.open()
        self._publish()

    def _places(self) -> list[ProcessPlace]:
        return [self.node, self.host] if hasattr(self, "host") else []

    def _publish(self) -> None:
        """Let manifests, names and the forwarder follow the pods and services."""
        new = self.folder / ".lab.yaml.new"
        new.write_text(self.manifests())
        os.replace(new, self.manifests_folder / "lab.yaml")
        for pod in self._pods.values():
            self._write_names(pod.record)
        if self._services:
            self._forward()

    def _forward(self) -> None:
        socket = self.folder / "forwarder.sock"
        if not self._forwarding:
            said_at = self.folder / "forwarder.log"
            with said_at.open("w") as log:
                command = [sys.executable, "-IS", forwarder.__file__, str(socket)]
                process = self.node.popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            deadline = time.monotonic() + _FORWARDER_TIMEOUT
            while not socket.exists():
                if process.poll() is not None:
                    raise LabError(f"the service forwarder ended: {said_at.read_text().strip()}")
                if time.monotonic() > deadline:
                    raise LabError(f"the service forwarder did not start within {_FORWARDER_TIMEOUT:g} s")
                time.sleep(0.005)
            self._forwarding = True
        pods = [pod.record for pod in self._pods.values()]
        said = forwarder.send(str(socket), [route for one in self._services.values() for route in one.routes(pods)])
        if said != "ok":
            raise LabError(f"the service forwarder refused its table: {said}")

    def _names_folder(self, record: PodRecord) -> Path:
        return self.folder / "pods" / record.uid

    def _write_names(self, record: PodRecord) -> None:
        """The pod's /etc/hosts and /etc/resolv.conf. They are mounted, so they are rewritten in place; one write, then
        the new length, so that no reader ever finds them empty."""
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        lines += [f"{ip} {record.name}" for ip in record.ips]
        pods = [pod.record for pod in self._pods.values()]
        for service in self._services.values():
            headless = (ip for pod in service.backends(pods) for ip in pod.ips)
            names = " ".join(service.names(record.namespace))
            lines += [f"{address} {names}" for address in service.addresses or headless]
        folder = self._names_folder(record)
        folder.mkdir(parents=True, exist_ok=True)
        _rewrite(folder / "hosts", "\n".join(lines) + "\n")
        search = " ".join(f"{head}{CLUSTER_DOMAIN}" for head in (f"{record.namespace}.svc.", "svc.", ""))
        gateway = self._addresses.gateway(self._addresses.families[0])
        _rewrite(folder / "resolv.conf", f"nameserver {gateway}\nsearch {search}\noptions ndots:5\n")


def _rewrite(path: Path, text: str) -> None:
    data = text.encode()
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.pwrite(file, data, 0)
        os.ftruncate(file, len(data))
    finally:
        os.close(file)
