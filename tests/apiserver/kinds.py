"""Which resources the server has, and which of them a path names."""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """One resource in one API version; `status` is that it has a status of its own, and generations."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    status: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def store(self) -> str:
        """The versions of a kind share their objects."""
        return f"{self.plural}.{self.group}"


BUILT_IN = (
    Kind("", "v1", "Namespace", "namespaces", False),
    Kind("", "v1", "Node", "nodes", False),
    Kind("", "v1", "Pod", "pods"),
    Kind("", "v1", "Service", "services"),
    Kind("", "v1", "Secret", "secrets"),
    Kind("", "v1", "ConfigMap", "configmaps"),
    Kind("", "v1", "ServiceAccount", "serviceaccounts"),
    Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    Kind("events.k8s.io", "v1", "Event", "events"),
    Kind("coordination.k8s.io", "v1", "Lease", "leases"),
    Kind("apps", "v1", "DaemonSet", "daemonsets"),
    Kind("apps", "v1", "Deployment", "deployments"),
    Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False),
    Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
    Kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False),
    Kind("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False),
    Kind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", False),
    Kind(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        False,
    ),
)

ISTIO_VERSIONS = ("v1", "v1beta1", "v1alpha3")
ISTIO = {
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
    "Gateway": "gateways",
    "ServiceEntry": "serviceentries",
    "WorkloadEntry": "workloadentries",
    "WorkloadGroup": "workloadgroups",
    "Sidecar": "sidecars",
}


def mesh_kinds(versions: tuple[str, ...] = ISTIO_VERSIONS) -> list[Kind]:
    """Istio's kinds and ours, as if their CRDs were installed."""
    found = [
        Kind("networking.istio.io", version, kind, plural, status=True)
        for version in versions
        for kind, plural in ISTIO.items()
    ]
    telemetries = [
        Kind("telemetry.istio.io", version, "Telemetry", "telemetries", status=True) for version in ("v1", "v1alpha1")
    ]
    mesh = Kind("nodemesh.io", "v1alpha1", "MeshConfig", "meshconfigs", False, status=True)
    return [*found, *telemetries, mesh, *route_kinds()]


GATEWAY_API = "gateway.networking.k8s.io"
#: The Gateway API's resources with their versions.
ROUTE_KINDS = {
    "GatewayClass": ("gatewayclasses", ("v1", "v1beta1")),
    "Gateway": ("gateways", ("v1", "v1beta1")),
    "ListenerSet": ("listenersets", ("v1",)),
    "HTTPRoute": ("httproutes", ("v1", "v1beta1")),
    "GRPCRoute": ("grpcroutes", ("v1",)),
    "TLSRoute": ("tlsroutes", ("v1", "v1alpha3", "v1alpha2")),
    "TCPRoute": ("tcproutes", ("v1", "v1alpha2")),
    "UDPRoute": ("udproutes", ("v1", "v1alpha2")),
    "ReferenceGrant": ("referencegrants", ("v1", "v1beta1")),
    "BackendTLSPolicy": ("backendtlspolicies", ("v1", "v1alpha3")),
}
EXPERIMENTS = {"XBackendTrafficPolicy": "xbackendtrafficpolicies", "XMesh": "xmeshes", "XBackend": "xbackends"}


def route_kinds() -> list[Kind]:
    found = [
        Kind(GATEWAY_API, version, kind, plural, kind != "GatewayClass", status=True)
        for kind, (plural, versions) in ROUTE_KINDS.items()
        for version in versions
    ]
    return found + [
        Kind("gateway.networking.x-k8s.io", "v1alpha1", kind, plural, kind != "XMesh", status=True)
        for kind, plural in EXPERIMENTS.items()
    ]


class Target(NamedTuple):
    """What a path names: all objects of a kind, those of a namespace, or one; `part` is a subresource."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    part: str = ""


class Kinds:
    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._kinds = {(kind.group, kind.version, kind.plural): kind for kind in kinds}

    def __iter__(self):
        return iter(list(self._kinds.values()))

    def add(self, kind: Kind) -> None:
        self._kinds[kind.group, kind.version, kind.plural] = kind

    def remove(self, kind: Kind) -> None:
        self._kinds.pop((kind.group, kind.version, kind.plural), None)

    def of(self, name: str, group: str | None = None) -> Kind:
        """The first version of a kind, of the first group that has it where none is named."""
        return next(kind for kind in self._kinds.values() if kind.kind == name and group in (None, kind.group))

    def target(self, path: str) -> Target | None:
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and (group, version, rest[2]) in self._kinds:
            namespace, rest = rest[1], rest[2:]
        kind = self._kinds.get((group, version, rest[0]))
        if kind is None or len(rest) > 3:
            return None
        return Target(kind, namespace, *rest[1:])
