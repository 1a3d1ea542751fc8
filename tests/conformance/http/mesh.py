"""A case's mesh as Kubernetes and Istio objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .case import Case, Pod

PODS = {name: Pod(labels={"version": name}) for name in ("v1", "v2", "v3")}
RATINGS = {"r1": Pod(app="ratings", labels={"version": "r1"})}

#: Every pod's address is one of loopback's, so that one port serves for all.
ADDRESSES = {name: f"127.77.1.{number}" for number, name in enumerate(("v1", "v2", "v3", "r1"), 1)}
SPARE = "127.77.2.{}"

Object = dict[str, Any]


def pods_of(case: Case) -> dict[str, Pod]:
    return (case.pods or PODS) | RATINGS


def addresses_of(case: Case) -> dict[str, str]:
    """Pods that are not the usual ones get spare addresses."""
    spare = (name for name in pods_of(case) if name not in ADDRESSES)
    return ADDRESSES | {name: SPARE.format(number) for number, name in enumerate(spare, 1)}


def objects(
    case: Case, namespace: str, port: int, http: list[Object] | None = None, *, h2: bool = False
) -> list[Object]:
    """The whole mesh, with every place filled in; `h2` has requests go upstream as HTTP/2."""
    made = {(item["kind"], item["metadata"]["name"]): item for item in standard(case, h2)}
    rules = case.http if http is None else http
    if rules:
        made["VirtualService", "reviews"] = istio("VirtualService", "reviews", {"hosts": ["reviews"], "http": rules})
    for item in case.config:
        item.setdefault("metadata", {})
        made[item["kind"], item["metadata"].get("name", "")] = item
    words = {"$port": str(port), "$ns": namespace}
    words |= {f"${name}": address for name, address in addresses_of(case).items()}
    filled = [fill(item, words) for item in made.values()]
    for item in filled:
        if item["kind"] not in ("Node", "Namespace"):
            item["metadata"].setdefault("namespace", namespace)
    return filled


def standard(case: Case, h2: bool) -> Iterator[Object]:
    yield service("reviews", "10.96.0.10")
    yield service("ratings", "10.96.0.11")
    for name, pod in pods_of(case).items():
        yield from workload(name, pod, addresses_of(case)[name])
    subsets = [
        {"name": version, "labels": {"version": version}}
        | ({"trafficPolicy": case.subsets[version]} if version in case.subsets else {})
        for version in sorted({pod.labels.get("version", "") for pod in pods_of(case).values() if pod.app == "reviews"})
        if version
    ]
    rule: Object = {"host": "reviews", "subsets": subsets}
    if case.traffic:
        rule["trafficPolicy"] = case.traffic
    yield istio("DestinationRule", "reviews", rule)
    mesh = case.mesh | ({"h2UpgradePolicy": "UPGRADE"} if h2 else {})
    if mesh:
        yield {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "default"},
               "spec": mesh}  # fmt: skip


def service(name: str, address: str) -> Object:
    spec = {
        "clusterIP": address,
        "selector": {"app": name},
        "ports": [{"name": "http", "port": 80, "targetPort": "$port"}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def workload(name: str, pod: Pod, address: str) -> Iterator[Object]:
    spec: Object = {}
    if pod.locality:
        region, zone, subzone = (*pod.locality.split("/"), "", "")[:3]
        spec = {"nodeName": f"node-{name}"}
        labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone,
                  "topology.istio.io/subzone": subzone}  # fmt: skip
        labels = {key: value for key, value in labels.items() if value}
        yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{name}", "labels": labels}}
    ready = [{"type": "Ready", "status": "True" if pod.ready else "False"}]
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
    metadata = {"name": name, "labels": {"app": pod.app, **pod.labels}}
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def istio(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def fill(value: Any, words: dict[str, str]) -> Any:
    """Put the words in their places; a place that is the whole text becomes a number if it is one."""
    if isinstance(value, dict):
        return {fill(key, words): fill(item, words) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(item, words) for item in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    if value == "$port":
        return int(words[value])
    for word in sorted(words, key=len, reverse=True):
        value = value.replace(word, words[word])
    return value
