"""What is read from an API server: each kind with its path, and how little of it is asked for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...config.gatewayapi import GROUP, X_GROUP
from ...config.istiomesh import NAME, NAMESPACE
from ...config.kinds import CORE_KINDS, GATEWAY_API_KINDS, ISTIO_GROUP, ISTIO_KINDS, MESH_CONFIG, TELEMETRY_GROUP, Kind
from ..staging import STATE

#: The media types of a PartialObjectMetadata and of a list of them (API concepts, "Metadata-only fetches").
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
JSON = "application/json"

#: Kinds of which nothing but the metadata matters.
METADATA_KINDS = frozenset({"Namespace", "Node"})
#: Kinds that are read of other clusters.
REMOTE_KINDS = frozenset({"Namespace", "Node", "Pod", "Service", "EndpointSlice"})
#: The label on Secrets that hold the kubeconfig of another cluster.
REMOTE_SECRET_LABEL = "istio/multiCluster"
#: Secrets and ConfigMaps that rules name are read one by one (secrets.py); a WorkloadGroup is a template that nothing
#: refers to.
UNWATCHED = frozenset({"Secret", "ConfigMap", "WorkloadGroup"})


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One list and watch. `optional` is a kind whose CRD may be absent: then the cluster simply has none."""

    name: str  # unique, for logs and metrics
    kind: str
    group: str
    versions: tuple[str, ...]  # the best first
    plural: str
    namespace: str = ""  # empty: all
    metadata_only: bool = False
    field_selector: str = ""
    label_selector: str = ""
    optional: bool = False
    dispensable: bool = False  # as none where we have no right to read it, which older installations do not give

    def path(self, version: str) -> str:
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        return f"{root}/namespaces/{self.namespace}/{self.plural}" if self.namespace else f"{root}/{self.plural}"

    def object_path(self, version: str, namespace: str, name: str) -> str:
        """Of one object; `namespace` is empty where the kind has none."""
        within = msgspec.structs.replace(self, namespace=namespace)
        return f"{within.path(version)}/{name}"

    @property
    def accept_list(self) -> str:
        return METADATA_LIST if self.metadata_only else JSON

    @property
    def accept_watch(self) -> str:
        return METADATA if self.metadata_only else JSON


def resources(node: str) -> tuple[Resource, ...]:
    """Everything that the agent of `node` follows: of the node's own pods all, of the other pods the metadata; of
    ConfigMaps those that are about the mesh."""
    found: list[Resource] = []
    for kind in (*CORE_KINDS, MESH_CONFIG, *ISTIO_KINDS, *GATEWAY_API_KINDS):
        if kind.name in UNWATCHED:
            continue
        if kind.name == "Pod":
            found += pods(kind, node)
        else:
            found.append(resource(kind))
    return (
        *found,
        config_map("istio-mesh", NAMESPACE, NAME),
        config_map("rollouts", STATE.namespace, STATE.name),
    )


def config_map(name: str, namespace: str, object_name: str) -> Resource:
    """One ConfigMap, for which a role's resourceNames are enough."""
    kind = next(kind for kind in CORE_KINDS if kind.name == "ConfigMap")
    return msgspec.structs.replace(
        resource(kind),
        name=name,
        namespace=namespace,
        field_selector=f"metadata.name={object_name}",
        optional=True,  # a relay that may not read it has none
        dispensable=True,
    )


def remote_resources() -> tuple[Resource, ...]:
    """What is read of another cluster: its services, and what stands behind them."""
    found = [resource(kind) for kind in CORE_KINDS if kind.name in REMOTE_KINDS]
    return tuple(msgspec.structs.replace(item, metadata_only=True) if item.kind == "Pod" else item for item in found)


def remote_secrets(namespace: str) -> Resource:
    """The Secrets that name other clusters, as `istioctl create-remote-secret` writes them."""
    secret = next(kind for kind in CORE_KINDS if kind.name == "Secret")
    return msgspec.structs.replace(
        resource(secret), name="remote-secrets", namespace=namespace, label_selector=f"{REMOTE_SECRET_LABEL}=true"
    )


def resource(kind: Kind) -> Resource:
    return Resource(
        name=f"{plural_of(kind)}.{kind.group}" if kind.group in (GROUP, X_GROUP) else plural_of(kind),
        kind=kind.name,
        group=kind.group,
        versions=kind.versions,
        plural=plural_of(kind),
        metadata_only=kind.name in METADATA_KINDS,
        optional=kind.group in (ISTIO_GROUP, TELEMETRY_GROUP, MESH_CONFIG.group, GROUP, X_GROUP),
    )


def pods(kind: Kind, node: str) -> Iterable[Resource]:
    """The own node's pods come first: what is known in full counts before what is known by its metadata."""
    own = msgspec.structs.replace(resource(kind), name="node-pods", field_selector=f"spec.nodeName={node}")
    return own, msgspec.structs.replace(resource(kind), metadata_only=True)


def plural_of(kind: Kind) -> str:
    """The resource's name in paths, as English has it: entries and policies, but gateways; classes and meshes."""
    name = kind.name.lower()
    if name.endswith(("ry", "cy")):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("ss", "sh")) else f"{name}s"
