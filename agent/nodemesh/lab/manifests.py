"""What `kubectl get node,namespace,pod,service -o yaml` would print about the lab; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .pod import PodRecord
from .service import LabPort, LabService

Value = Mapping[str, Any] | list[Any] | str | int | bool

#: Strings that YAML reads as themselves when they stand plain (and not as number, date, bool or null).
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[A-Za-z][A-Za-z0-9_./-]*", re.IGNORECASE)


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The node as the API server knows it."""

    name: str
    labels: Mapping[str, str] = {}
    ips: tuple[str, ...] = ()


def documents(
    node: NodeRecord,
    namespaces: Mapping[str, Mapping[str, str]],
    pods: Iterable[PodRecord],
    services: Iterable[LabService],
) -> str:
    """The YAML documents of the whole lab; `namespaces` are labels by name."""
    objects = [
        _node(node),
        *(_namespace(name, labels) for name, labels in namespaces.items()),
        *(_service(service) for service in services),
        *(_pod(pod, node) for pod in pods),
    ]
    return "---\n".join("\n".join(_lines(one)) + "\n" for one in objects)


def _node(node: NodeRecord) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {"kubernetes.io/hostname": node.name, **node.labels}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip} for ip in node.ips],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _namespace(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}},
        "status": {"phase": "Active"},
    }


def _service(service: LabService) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(service.name, service.namespace, service.labels, service.annotations),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": service.addresses[0] if service.addresses else "None",
            "clusterIPs": list(service.addresses) or ["None"],
            "ports": [_port(port) for port in service.ports],
            "selector": service.selector,
        },
    }


def _port(port: LabPort) -> dict[str, Any]:
    named = {"name": port.name} if port.name else {}
    protocol = {"appProtocol": port.app_protocol} if port.app_protocol else {}
    return {**named, **protocol, "port": port.number, "targetPort": port.target or port.number, "protocol": "TCP"}


def _pod(pod: PodRecord, node: NodeRecord) -> dict[str, Any]:
    metadata = {**_metadata(pod.name, pod.namespace, pod.labels, pod.annotations), "uid": pod.uid}
    if pod.owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": pod.owner, "controller": True}
        ]
    ready = "True" if pod.ready else "False"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "nodeName": node.name,
            "serviceAccountName": pod.service_account,
            "containers": [
                {
                    "name": "app",
                    "ports": [{"name": name, "containerPort": port} for name, port in pod.ports.items()],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "hostIP": node.ips[0],
            "podIP": pod.ips[0],
            "podIPs": [{"ip": ip} for ip in pod.ips],
            "qosClass": "BestEffort",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Initialized", "status": "True"},
                {"type": "ContainersReady", "status": ready},
                {"type": "Ready", "status": ready},
            ],
            "containerStatuses": [
                {"name": "app", "ready": pod.ready, "containerID": f"containerd://{pod.container_id}"}
            ],
        },
    }


def _metadata(name: str, namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    extra = {key: value for key, value in (("labels", labels), ("annotations", annotations)) if value}
    return {"name": name, "namespace": namespace, **extra}


def _lines(value: Value, indent: str = "") -> Iterator[str]:
    """A mapping or list as YAML's block style, line by line."""
    items = value.items() if isinstance(value, Mapping) else [("-", one) for one in value]  # type: ignore[union-attr]
    for key, one in items:
        head = f"{indent}-" if key == "-" else f"{indent}{_scalar(key)}:"
        if isinstance(one, Mapping | list) and one:
            nested = list(_lines(one, indent + "  "))
            if key == "-":  # the first line of a list's item stands beside its dash
                yield f"{head} {nested[0].lstrip()}"
                yield from nested[1:]
            else:
                yield head
                yield from nested
        else:
            yield f"{head} {_scalar(one)}"


def _scalar(value: Value) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value if not isinstance(value, Mapping) else dict(value))
