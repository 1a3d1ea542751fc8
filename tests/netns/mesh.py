"""A lab with a running agent: fixtures for tests of the whole, from a pod's connect() to a routed answer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nodemesh.lab import Lab, LabPod, bookinfo
from nodemesh.lab.agent import Agent

PORT = 9080

#: The annotation that takes a pod out of the mesh.
MESH = "nodemesh.io/mesh"


class Mesh:
    """The lab and its agent. Servers answer as Bookinfo's do: JSON with service, version, pod, path and headers."""

    def __init__(self, lab: Lab, agent: Agent) -> None:
        self.lab = lab
        self.agent = agent

    def server(self, service: str, version: str = "v1", *, name: str = "", listen: bool = True) -> LabPod:
        """A pod labelled `app` and `version` that serves; without `listen` it only says that it is ready."""
        pod = self.lab.pod(name or f"{service}-{version}", labels={"app": service, "version": version})
        if listen:
            pod.popen([sys.executable, "-IS", bookinfo.__file__, service, version, str(PORT)], stdin=subprocess.DEVNULL)
            pod.wait_listening(PORT)
        return pod

    def apply(self, text: str, name: str = "applied") -> None:
        """Put YAML in force under `name`; returns when every worker follows it."""
        self.agent.apply(text, name)

    def settle(self) -> None:
        """Wait until the agent has enrolled the lab's pods and knows the endpoints of its services."""
        self.agent.wait_enrolled(pod for pod in self.lab.pods.values() if MESH not in pod.record.annotations)
        pods = [pod.record for pod in self.lab.pods.values()]
        services = self.lab.services.values()
        wanted = sorted(pod.ips[0] for one in services for pod in one.backends(pods) for _ in one.ports)
        self.agent.wait_for(lambda: self._endpoints() == wanted, "the agent to know the pods")

    def _endpoints(self) -> list[str]:
        return sorted(row["address"] for row in self.agent.get("/endpoints"))


@pytest.fixture(name="lab")
def own_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab of the test's own, without an agent; IPv4 alone, as most clusters have it."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:30].strip("-")
    with Lab(name, region="region-1", zone="zone-1") as lab:
        yield lab


@contextmanager
def running_mesh(name: str) -> Iterator[Mesh]:
    """A mesh of one's own, for tests that kill or count."""
    with Lab(name, dual_stack=True) as lab:
        agent = Agent(lab)
        agent.start()
        yield Mesh(lab, agent)


@pytest.fixture(scope="session")
def shared_mesh() -> Iterator[Mesh]:
    """A client and the service `web` in versions v1 and v2, for all tests that leave it as it was."""
    with running_mesh("mesh") as mesh:
        mesh.lab.service("web", ports=[PORT], selector={"app": "web"})
        for version in ("v1", "v2"):
            mesh.server("web", version)
        mesh.lab.pod("client", labels={"app": "client"})
        mesh.settle()
        yield mesh


@pytest.fixture(name="mesh")
def clean_mesh(shared_mesh: Mesh) -> Iterator[Mesh]:
    """The shared mesh; what a test applies is withdrawn after it, the pods and services that it adds are removed."""
    lab, agent = shared_mesh.lab, shared_mesh.agent
    pods, services = set(lab.pods), set(lab.services)
    files = set(agent.folder.iterdir())
    yield shared_mesh
    for file in set(agent.folder.iterdir()) - files:
        agent.withdraw(file.stem)
    for key in set(lab.services) - services:
        lab.delete_service(lab.services[key])
    for key in set(lab.pods) - pods:
        lab.delete(lab.pods[key])
    shared_mesh.settle()


@pytest.fixture(name="pod")
def client_pod(mesh: Mesh) -> LabPod:
    """The shared mesh's client: a pod that knows nothing of the mesh."""
    return mesh.lab.pods["default/client"]
