"""Pods for services that the YAML has none for: files in a repository have Deployments, and pods come later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..config.load import load_object
from ..config.meta import Object
from ..registry.snapshot import Snapshot
from ..routing.names import resolve_host

#: The network of pods that nobody else has (RFC 6598).
NETWORK = "100.64"

SOURCE = "made by the simulator"


def pods_for(objects: Iterable[Object[Any]], snapshot: Snapshot) -> list[Object[Any]]:
    """One pod for each subset of a service that selects pods and has none, two where it has no subsets."""
    subsets = labels_by_host(snapshot)
    made: list[Object[Any]] = []
    for item in objects:
        if item.kind != "Service" or not item.spec.selector:
            continue
        host = f"{item.meta.name}.{item.meta.namespace or 'default'}.svc.{snapshot.mesh.cluster_domain}"
        services = snapshot.services.get(host, ())
        if any(service.endpoints.get(port.number) for service in services for port in service.ports):
            continue
        kinds = subsets.get(host) or [("1", {}), ("2", {})]
        for suffix, labels in kinds:
            made += pod(f"{item.meta.name}-{suffix}", item, labels, len(made))
    return made


def labels_by_host(snapshot: Snapshot) -> dict[str, list[tuple[str, Mapping[str, str]]]]:
    """The subsets of each host, with their labels."""
    found: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    for rule in snapshot.destination_rules.values():
        namespace = rule.meta.namespace or "default"
        for host in aliases(resolve_host(rule.spec.host or "", namespace, snapshot.mesh.cluster_domain), snapshot):
            found.setdefault(host, []).extend((subset.name or "", subset.labels) for subset in rule.spec.subsets)
    return found


def aliases(host: str, snapshot: Snapshot) -> Iterator[str]:
    """The hosts that a rule's host may mean: itself, or `reviews.prod` in full."""
    yield host
    if host.count(".") == 1:
        yield f"{host}.svc.{snapshot.mesh.cluster_domain}"


def pod(name: str, service: Object[Any], labels: Mapping[str, str], number: int) -> tuple[Object[Any], ...]:
    ports = [
        {"containerPort": target if isinstance(target, int) else port.port, "name": named(target, port.name)}
        for port in service.spec.ports
        for target in (port.target_port or port.port,)
    ]
    data = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": service.meta.namespace or "default",
            "labels": {**service.spec.selector, **labels},
        },
        "spec": {"containers": [{"name": "app", "ports": ports}]},
        "status": {
            "phase": "Running",
            "podIP": f"{NETWORK}.{number // 250}.{number % 250 + 1}",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    return load_object(data, SOURCE).objects


def named(target: int | str, name: str) -> str:
    return target if isinstance(target, str) else name
