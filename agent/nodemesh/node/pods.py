"""Which pods of this node are to be in the mesh, and exactly why the others are not."""

from __future__ import annotations

import msgspec

from ..config.annotations import DISABLED, DNS, ENABLED, FAILURE_POLICY_ANNOTATION, MESH, SOCKMAP
from ..config.meshconfig import EnrolmentMode, FailurePolicy, MeshConfigSpec
from ..registry.snapshot import Namespace, Snapshot, Workload
from ..routing.client import Client

#: What Istio itself writes on the pods whose connections it takes over, and the value (empty: any). Its proxy holds the
#: port in the pod at which ours would listen.
ISTIOS_OWN = {
    "sidecar.istio.io/status": ("", "Istio's sidecar"),
    "ambient.istio.io/redirection": ("enabled", "Istio's ambient mode"),
}

#: Istio's label on a pod or namespace that its ambient mode takes over, before or after it has done so.
DATAPLANE_MODE = "istio.io/dataplane-mode"
AMBIENT = "ambient"

#: Whose pods join by their own or their namespace's word alone: what a cluster cannot run without.
KUBE_SYSTEM = "kube-system"

#: A static pod's cgroup carries the hash of its manifest in place of the mirror pod's uid.
STATIC_POD_HASH = "kubernetes.io/config.hash"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one local pod. `why_not` is a sentence, empty where it is to be enrolled."""

    workload: Workload
    why_not: str = ""
    dns: bool = False  # whether its DNS queries are to be taken over
    sockmap: bool = False  # whether it asks for sockmap, itself or by its namespace
    closed: bool = False  # whether what the proxy should have of it is refused while nobody serves

    @property
    def uid(self) -> str:
        """The name that its cgroup carries."""
        return self.workload.annotations.get(STATIC_POD_HASH, self.workload.uid)


def setting(thing: Workload | Namespace | None, name: str) -> str:
    """The value of a label, else of the annotation of that name; empty where neither is set."""
    return thing.labels.get(name, thing.annotations.get(name, "")) if thing is not None else ""


def wants(name: str, pod: Workload, namespace: Namespace | None, default: bool = False) -> bool:
    """Whether a pod is to have what `name` stands for: by its own word, its namespace's, or the `default`."""
    for thing in (pod, namespace):
        said = setting(thing, name)
        if said in (ENABLED, DISABLED):
            return said == ENABLED
    return default


class Custom(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for pods that say nothing, in namespaces that say nothing: `mode` where MeshConfig does not say
    either; those of the namespaces `apart` stay out."""

    mode: EnrolmentMode = EnrolmentMode.ALL
    apart: frozenset[str] = frozenset({KUBE_SYSTEM})


def why_not(pod: Workload, namespace: Namespace | None, custom: Custom) -> str:
    """The reason that this pod is to stay out, empty where there is none."""
    if pod.finished:
        return "the pod has finished"
    if pod.host_network:
        return "the pod uses the host's network (hostNetwork), which is never touched"
    own = setting(pod, MESH)
    if own == DISABLED:
        return f"the pod opts out ({MESH}: {DISABLED})"
    if own != ENABLED and setting(namespace, MESH) == DISABLED:
        return f"the namespace {pod.namespace} opts out ({MESH}: {DISABLED})"
    for name, (value, what) in ISTIOS_OWN.items():
        if name in pod.annotations and value in ("", pod.annotations[name]):
            return f"{what} takes the pod's connections already (annotation {name})"
    for thing, whose in ((pod, "pod"), (namespace, f"namespace {pod.namespace}")):
        mode = thing.labels.get(DATAPLANE_MODE) if thing is not None else None
        if mode == AMBIENT:
            return f"the {whose} is Istio's ({DATAPLANE_MODE}: {AMBIENT})"
        if mode is not None:
            break
    if ENABLED not in (own, setting(namespace, MESH)):
        if pod.namespace in custom.apart:
            return f"the namespace {pod.namespace} is left alone; {MESH}: {ENABLED} on the pod or namespace enrols it"
        if custom.mode is EnrolmentMode.LABELLED:
            return f"neither the pod nor its namespace asks for the mesh ({MESH}: {ENABLED})"
    if not pod.uid:
        return "the pod has no uid (metadata.uid), by which its cgroup is found"
    return ""


def fails_closed(namespace: Namespace | None, mesh: MeshConfigSpec) -> bool:
    """Whether pods of a namespace are refused while nobody serves, by its label or annotation, or by the mesh's."""
    return FailurePolicy.CLOSED in (setting(namespace, FAILURE_POLICY_ANNOTATION), mesh.failure_policy)


def choose(snapshot: Snapshot, node: str, custom: Custom) -> dict[str, Choice]:
    """The pods of this node by `namespace/name`."""
    namespaces, default = snapshot.namespaces, snapshot.mesh.dns_capture
    if snapshot.mesh.enrolment is not None:
        custom = msgspec.structs.replace(custom, mode=snapshot.mesh.enrolment)
    return {
        key: Choice(
            workload=pod,
            why_not=why_not(pod, namespaces.get(pod.namespace), custom),
            dns=wants(DNS, pod, namespaces.get(pod.namespace), default),
            sockmap=wants(SOCKMAP, pod, namespaces.get(pod.namespace)),
            closed=fails_closed(namespaces.get(pod.namespace), snapshot.mesh),
        )
        for key, pod in snapshot.workloads.items()
        if pod.kind == "Pod" and pod.node == node
    }


def client_of(pod: Workload) -> Client:
    """The pod as routing asks for it."""
    return Client(
        namespace=pod.namespace,
        name=pod.name,
        labels=pod.labels,
        locality=pod.locality,
        node=pod.node,
        network=pod.network,
        cluster=pod.cluster,
        service_account=pod.service_account,
        owner=pod.owner,
        topology=pod.topology,
        addresses=pod.addresses,
    )
