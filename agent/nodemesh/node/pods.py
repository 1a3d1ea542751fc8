"""Which pods of this node are to be in the mesh, and exactly why the others are not."""

from __future__ import annotations

import msgspec

from ..registry.snapshot import Namespace, Snapshot, Workload
from ..routing.client import Client

#: The label or annotation on a Pod or its Namespace that takes pods out of the mesh, and on a Pod back in.
MESH = "nodemesh.io/mesh"
#: The label or annotation on a Pod or its Namespace that lets the kernel move bytes between its sockets and the proxy's
#: without TCP, where MeshConfig has `sockmap` on.
SOCKMAP = "nodemesh.io/sockmap"
DISABLED = "disabled"
ENABLED = "enabled"

#: A static pod's cgroup carries the hash of its manifest in place of the mirror pod's uid.
STATIC_POD_HASH = "kubernetes.io/config.hash"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one local pod. `why_not` is a sentence, empty where it is to be enrolled; `sockmap` is what it
    or its namespace asks for."""

    workload: Workload
    why_not: str = ""
    sockmap: bool = False

    @property
    def uid(self) -> str:
        """The name that its cgroup carries."""
        return self.workload.annotations.get(STATIC_POD_HASH, self.workload.uid)


def setting(name: str, owner: Workload | Namespace | None) -> str:
    """The value of a label or annotation, the label before the annotation; empty where it is not set."""
    return owner.labels.get(name, owner.annotations.get(name, "")) if owner is not None else ""


def why_not(pod: Workload, namespace: Namespace | None) -> str:
    """The reason that this pod is to stay out, empty where there is none."""
    if pod.finished:
        return "the pod has finished"
    if pod.host_network:
        return "the pod uses the host's network (hostNetwork), which is never touched"
    own = setting(MESH, pod)
    if own == DISABLED:
        return f"the pod opts out ({MESH}: {DISABLED})"
    if own != ENABLED and setting(MESH, namespace) == DISABLED:
        return f"the namespace {pod.namespace} opts out ({MESH}: {DISABLED})"
    if not pod.uid:
        return "the pod has no uid (metadata.uid), by which its cgroup is found"
    return ""


def wants_sockmap(pod: Workload, namespace: Namespace | None) -> bool:
    """Whether the pod, or failing a word of its own its namespace, asks for sockmap."""
    return (setting(SOCKMAP, pod) or setting(SOCKMAP, namespace)) == ENABLED


def choose(snapshot: Snapshot, node: str) -> dict[str, Choice]:
    """The pods of this node by `namespace/name`."""
    chosen: dict[str, Choice] = {}
    for key, pod in snapshot.workloads.items():
        if pod.kind == "Pod" and pod.node == node:
            namespace = snapshot.namespaces.get(pod.namespace)
            chosen[key] = Choice(workload=pod, why_not=why_not(pod, namespace), sockmap=wants_sockmap(pod, namespace))
    return chosen


def client_of(pod: Workload) -> Client:
    """The pod as routing asks for it."""
    return Client(
        namespace=pod.namespace,
        name=pod.name,
        labels=pod.labels,
        locality=pod.locality,
        node=pod.node,
        service_account=pod.service_account,
        owner=pod.owner,
    )
