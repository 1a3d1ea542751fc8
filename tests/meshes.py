"""Small meshes for tests: objects built as a source would hand them in, and the views made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from nodemesh.config.base import Base64, Duration
from nodemesh.config.core import EndpointSliceSpec, NamespaceSpec, NodeSpec, PodSpec, ServiceSpec
from nodemesh.config.destinationrule import DestinationRuleSpec
from nodemesh.config.gateway import GatewaySpec
from nodemesh.config.kinds import KINDS
from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.config.meta import Location, Meta, Object, Origin
from nodemesh.config.serviceentry import ServiceEntrySpec
from nodemesh.config.sidecar import SidecarSpec
from nodemesh.config.telemetry import TelemetrySpec
from nodemesh.config.virtualservice import VirtualServiceSpec
from nodemesh.config.workload import WorkloadEntrySpec
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.request import Request
from nodemesh.routing.view import View
from nodemesh.routing.views import Views

SPECS: dict[str, type] = {
    "Namespace": NamespaceSpec,
    "Node": NodeSpec,
    "Pod": PodSpec,
    "Service": ServiceSpec,
    "EndpointSlice": EndpointSliceSpec,
    "VirtualService": VirtualServiceSpec,
    "DestinationRule": DestinationRuleSpec,
    "Gateway": GatewaySpec,
    "ServiceEntry": ServiceEntrySpec,
    "WorkloadEntry": WorkloadEntrySpec,
    "Sidecar": SidecarSpec,
    "Telemetry": TelemetrySpec,
    "MeshConfig": MeshConfigSpec,
}
GROUPS = {kind.spec: kind.group for kind in KINDS.values()}


def convert(kind: type, value: Any) -> Any:
    """Durations are written as seconds (a number) here, bytes as they are."""
    if kind is Duration:
        return Duration(round(float(value) * 1000))
    if kind is Base64:
        return Base64(value)
    raise NotImplementedError(kind)


def make(kind: str, name: str, spec: dict[str, Any] | None = None, **meta: Any) -> Object[Any]:
    meta.setdefault("namespace", "" if kind in ("Namespace", "Node") else "default")
    location = meta.pop("location", Location(f"{kind.lower()}-{name}.yaml", 1, 1))
    origin = meta.pop("origin", Origin.OPERATOR)
    typed = msgspec.convert(spec or {}, SPECS[kind], dec_hook=convert)
    named = Meta(name=name, **meta)
    return Object(kind=kind, group=GROUPS[SPECS[kind]], meta=named, spec=typed, location=location, origin=origin)


def service(name: str, ip: str, *ports: Any, selector: dict[str, str] | None = None, **meta: Any) -> Object[Any]:
    """A Service; each port is `(number, name)`."""
    spec = {
        "clusterIP": ip,
        "ports": [{"port": number, "name": title} for number, title in ports or ((80, "http"),)],
        "selector": {"app": name} if selector is None else selector,
    }
    return make("Service", name, spec, **meta)


def pod(name: str, ip: str, labels: dict[str, str], *, ready: bool = True, node: str = "", **meta: Any) -> Object[Any]:
    status = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    return make("Pod", name, {"status": status, "nodeName": node}, labels=labels, **meta)


def bookinfo() -> list[Object[Any]]:
    """reviews (v1, v2, v3) and ratings in `default`."""
    found = [service("reviews", "10.96.0.10", (9080, "http")), service("ratings", "10.96.0.11", (9080, "http"))]
    for index, version in enumerate(("v1", "v2", "v3"), start=1):
        found.append(pod(f"reviews-{version}", f"10.1.0.{index}", {"app": "reviews", "version": version}))
    found.append(pod("ratings-v1", "10.1.0.9", {"app": "ratings", "version": "v1"}))
    found.append(
        make(
            "DestinationRule",
            "reviews",
            {
                "host": "reviews",
                "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2", "v3")],
            },
        )
    )
    return found


def views_of(*objects: Object[Any]) -> Views:
    return Views(compile_tables(Store().apply("test", objects)))


def view_of(*objects: Object[Any], namespace: str = "default", labels: dict[str, str] | None = None) -> View:
    return views_of(*objects).for_client(Client(namespace=namespace, labels=labels or {}))


def request(
    path: str = "/",
    host: str = "reviews:9080",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    scheme: str = "http",
) -> Request:
    bare, _, query = path.partition("?")
    return Request(
        method.encode(),
        scheme.encode(),
        host.encode(),
        bare.encode(),
        query.encode(),
        {name.lower().encode(): value.encode() for name, value in (headers or {}).items()},
    )
