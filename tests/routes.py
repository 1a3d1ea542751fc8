"""Meshes with routes of the Gateway API, written as YAML, for tests."""

from __future__ import annotations

from nodemesh.config.load import load_text
from nodemesh.registry.snapshot import Snapshot
from nodemesh.registry.store import Store

#: Two namespaces, three services: `cart` and `stock` in shop, `cart` in other.
BASE = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {team: other}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}, {name: http-alt, port: 81}, {name: raw, port: 90}]}
---
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: shop}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: other}
spec: {clusterIP: 10.96.0.3, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: bare, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
"""

SLICE = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}, {{name: http-alt, port: 8081}}, {{name: raw, port: 9090}}]
endpoints: [{{addresses: [{address}], conditions: {{ready: true}}}}]
"""

#: The same with an endpoint for each.
SERVED = BASE + "".join(
    SLICE.format(name=name, namespace=namespace, address=address)
    for name, namespace, address in (
        ("cart", "shop", "10.1.0.1"),
        ("stock", "shop", "10.1.0.2"),
        ("cart", "other", "10.1.0.3"),
    )
)

API = "gateway.networking.k8s.io/v1"


def made(kind: str, name: str, spec: str, namespace: str = "shop", created: int = 0, api: str = API) -> str:
    """One object; `created` orders objects by age."""
    body = "\n".join("  " + line for line in spec.strip("\n").splitlines())
    stamp = f"2026-01-01T00:00:{created:02}Z"
    return (
        f"---\napiVersion: {api}\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{stamp}', generation: 3}}\n"
        f"spec:\n{body}\n"
    )


def gateway(*listeners: str, name: str = "edge", more: str = "", **meta: object) -> str:
    """A Gateway of our class."""
    spec = "gatewayClassName: nodemesh\nlisteners:\n" + "".join(f"- {listener}\n" for listener in listeners) + more
    return made("Gateway", name, spec, **meta)  # type: ignore[arg-type]


def route(
    name: str, rules: str, parents: str = "[{name: edge}]", hosts: str = "", kind: str = "HTTPRoute", **meta: object
) -> str:
    spec = f"parentRefs: {parents}\n" + (f"hostnames: {hosts}\n" if hosts else "") + f"rules:\n{rules}"
    return made(kind, name, spec, **meta)  # type: ignore[arg-type]


def mesh_route(name: str, rules: str, service: str = "{group: '', kind: Service, name: cart}", **more: object) -> str:
    return route(name, rules, parents=f"[{service}]", **more)  # type: ignore[arg-type]


def snapshot_of(text: str) -> Snapshot:
    loaded = load_text(text, "mesh.yaml")
    assert not loaded.problems, loaded.problems
    return Store().apply("test", loaded.objects)
