"""The objects that a managed Gateway gets: ServiceAccount, Deployment, Service, and the NetworkPolicy that keeps its
admin API from the cluster's pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..config.gatewayapi import GROUP
from ..config.gatewayapi.gateways import KubernetesGatewaySpec
from ..config.meta import Object
from ..registry.snapshot import Snapshot
from ..routing.gatewayapi import GATEWAY_NAME_LABEL
from ..routing.gatewayapi.attach import AttachResult
from ..routing.gatewayapi.conditions import holds
from ..routing.gatewayapi.names import label_value, object_name
from ..routing.tables import Tables
from .gateway_rights import RBAC, Manifest, Rights

#: The binding that lets all managed Gateways' workloads read the mesh.
BINDING = "nodemesh-managed-gateways"
READER = "nodemesh-agent"
NETWORKING = "networking.k8s.io"
#: The label of namespaces that may read the admin API, as in the manifests.
SCRAPERS = {"nodemesh.io/scrape": "enabled"}
ADMIN_PORT = 15000

CONTAINER_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY: Manifest = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
    # Listeners name ports as clients see them, 80 and 443 among them (a safe sysctl, Linux 4.11).
    "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
}


def is_managed(item: Object[KubernetesGatewaySpec]) -> bool:
    """A Gateway that names no workload of its own: an address of the type Hostname is a Service that exists."""
    return all(address.type != "Hostname" for address in item.spec.addresses)


def managed(
    gateways: Iterable[Object[KubernetesGatewaySpec]], attached: AttachResult
) -> list[Object[KubernetesGatewaySpec]]:
    """Those that are accepted and to be served."""
    return [
        item
        for item in gateways
        if item.meta.key in attached.gateways
        and holds(attached.gateways[item.meta.key].conditions, "Accepted")
        and is_managed(item)
    ]


def wanted_objects(tables: Tables | None, snapshot: Snapshot, image: str) -> Iterator[tuple[str, Manifest]]:
    """Everything that all managed Gateways are to have."""
    if tables is None or not isinstance(tables.attached, AttachResult):
        return
    items = managed(snapshot.kubernetes_gateways.values(), tables.attached)
    rights = Rights(snapshot, tables.attached) if items else None
    for item in items:
        yield from objects_of(item, tables.attached, image)
        yield from rights.objects(item, meta_of(item)) if rights is not None else ()
    if items:
        yield reader_binding(items)


class OpenPort(NamedTuple):
    """A port of a Gateway's Service."""

    number: int
    transport: str  # TCP or UDP


def ports_of(item: Object[KubernetesGatewaySpec], attached: AttachResult) -> dict[OpenPort, str]:
    """The listeners' ports with names that declare what they speak; the admin API's own is offered to nobody."""
    protocols: dict[OpenPort, set[str]] = {}
    for spot in attached.spots[item.meta.key]:
        port = OpenPort(spot.listener.port, "UDP" if spot.listener.protocol == "UDP" else "TCP")
        if spot.valid and port != (ADMIN_PORT, "TCP"):
            protocols.setdefault(port, set()).add(spot.listener.protocol.lower())
    return {
        port: f"{next(iter(found)) if len(found) == 1 else 'tls'}-{port.number}"
        for port, found in sorted(protocols.items())
    }


def objects_of(item: Object[KubernetesGatewaySpec], attached: AttachResult, image: str) -> list[tuple[str, Manifest]]:
    """Each with the path of its collection."""
    namespace = item.meta.namespace
    of_apps, of_core = f"/apis/apps/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}"
    ports = ports_of(item, attached)
    found: list[tuple[str, Manifest]] = [
        (f"{of_core}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta_of(item)}),
        (f"{of_apps}/deployments", deployment_of(item, image)),
        (f"/apis/{NETWORKING}/v1/namespaces/{namespace}/networkpolicies", network_policy_of(item, ports)),
    ]
    if ports:  # a Service without any is refused
        found.append((f"{of_core}/services", service_of(item, ports)))
    return found


def meta_of(item: Object[KubernetesGatewaySpec]) -> Manifest:
    """What all of them carry: the infrastructure's labels and annotations, and whose they are."""
    infrastructure = item.spec.infrastructure
    labels = dict(infrastructure.labels) if infrastructure is not None else {}
    meta: Manifest = {
        "name": object_name(item.meta.name, item.spec.gateway_class_name),
        "namespace": item.meta.namespace,
        "labels": labels | own_labels(item),
        "ownerReferences": [
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "Gateway",
                "name": item.meta.name,
                "uid": item.meta.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
    if infrastructure is not None and infrastructure.annotations:
        meta["annotations"] = dict(infrastructure.annotations)
    return meta


def own_labels(item: Object[KubernetesGatewaySpec]) -> dict[str, str]:
    return {GATEWAY_NAME_LABEL: label_value(item.meta.name), "app.kubernetes.io/part-of": "nodemesh"}


def reader_binding(items: Iterable[Object[KubernetesGatewaySpec]]) -> tuple[str, Manifest]:
    """One for all: whoever is gone is left out of it."""
    subjects = [
        {"kind": "ServiceAccount", "name": meta["name"], "namespace": meta["namespace"]}
        for meta in (meta_of(item) for item in sorted(items, key=lambda item: item.meta.key))
    ]
    return f"/apis/{RBAC}/v1/clusterrolebindings", {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": BINDING, "labels": {"app.kubernetes.io/part-of": "nodemesh"}},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": READER},
        "subjects": subjects,
    }


def deployment_of(item: Object[KubernetesGatewaySpec], image: str) -> Manifest:
    meta = meta_of(item)
    selector = {GATEWAY_NAME_LABEL: label_value(item.meta.name)}
    template: Manifest = {
        "metadata": {key: value for key, value in meta.items() if key in ("labels", "annotations")},
        "spec": {
            "serviceAccountName": meta["name"],
            "terminationGracePeriodSeconds": 60,
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": selector},
                }
            ],
            "securityContext": POD_SECURITY,
            "containers": [container_of(item, image)],
            "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": template,
        },
    }


def container_of(item: Object[KubernetesGatewaySpec], image: str) -> Manifest:
    fields = {"NODE_NAME": "spec.nodeName", "POD_NAMESPACE": "metadata.namespace", "POD_NAME": "metadata.name"}
    return {
        "name": "gateway",
        "image": image,
        "args": [
            "run",
            "--kubernetes",
            "--node=$(NODE_NAME)",
            "--ebpf=off",
            "--as=$(POD_NAMESPACE)/$(POD_NAME)",
            f"--gateway={GATEWAY_NAME_LABEL}={label_value(item.meta.name)}",
            "--gateway-listen=0.0.0.0",
            f"--admin=0.0.0.0:{ADMIN_PORT}",
            "--access-log=-",
            "--grace=50",
        ],
        "env": [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()],
        # The listeners' ports are the Service's alone: a change of them starts no pod again.
        "ports": [{"name": "admin", "containerPort": ADMIN_PORT}],
        "securityContext": CONTAINER_SECURITY,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "startupProbe": probe("/healthz", 2, 60),
        "livenessProbe": probe("/healthz", 10, 6),
        "readinessProbe": probe("/readyz", 5, 3),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def probe(path: str, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "admin"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def network_policy_of(item: Object[KubernetesGatewaySpec], ports: Iterable[OpenPort]) -> Manifest:
    """Anybody reaches the listeners; the admin API, which tells of all namespaces, only who scrapes it."""
    listeners = {"ports": [{"port": port.number, "protocol": port.transport} for port in ports]}
    scrapers = {
        "from": [{"namespaceSelector": {"matchLabels": SCRAPERS}}],
        "ports": [{"port": ADMIN_PORT, "protocol": "TCP"}],
    }
    return {
        "apiVersion": f"{NETWORKING}/v1",
        "kind": "NetworkPolicy",
        "metadata": meta_of(item),
        "spec": {
            "podSelector": {"matchLabels": {GATEWAY_NAME_LABEL: label_value(item.meta.name)}},
            "policyTypes": ["Ingress"],
            "ingress": [listeners, scrapers] if ports else [scrapers],  # no ports would be all of them
        },
    }


def service_of(item: Object[KubernetesGatewaySpec], ports: Mapping[OpenPort, str]) -> Manifest:
    wanted = [address.value for address in item.spec.addresses if address.type == "IPAddress" and address.value]
    spec: Manifest = {
        "type": "LoadBalancer",
        # Clients' addresses stay visible, and no second hop is taken.
        "externalTrafficPolicy": "Local",
        "selector": {GATEWAY_NAME_LABEL: label_value(item.meta.name)},
        "ports": [
            {"name": name, "port": port.number, "targetPort": port.number, "protocol": port.transport}
            for port, name in ports.items()
        ],
    }
    if wanted:
        spec["loadBalancerIP"] = wanted[0]
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta_of(item), "spec": spec}
