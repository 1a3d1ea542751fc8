"""A made-up cluster of any size, as the objects that an API server would give: the same for the same size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

DAY = "2026-01-01T00:00:00Z"


class Size(NamedTuple):
    """How much of what: `rules` VirtualServices and as many DestinationRules, for the first services; `routes`
    HTTPRoutes, half of them on Services, the others on the one Gateway of their namespace."""

    services: int
    rules: int
    namespaces: int
    endpoints: int = 5  # of each service
    routes: int = 0

    def __str__(self) -> str:
        if self.routes:
            return f"{self.services:,} services, {self.routes:,} HTTPRoutes"
        return f"{self.services:,} services, {2 * self.rules:,} rules"


def objects(size: Size) -> Iterator[dict[str, Any]]:
    """Everything, in the order in which a watch would bring it: kind by kind."""
    for number in range(size.namespaces):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}}
    for number in range(size.services):
        yield service(size, number)
    for number in range(size.services):
        yield endpoint_slice(size, number)
    for number in range(size.rules):
        yield destination_rule(size, number)
    for number in range(size.rules):
        yield virtual_service(size, number)
    for number in range(size.namespaces if size.routes else 0):
        yield gateway(number)
    for number in range(size.routes):
        yield http_route(size, number)


def metadata(size: Size, number: int, revision: int = 0) -> dict[str, Any]:
    return {
        "name": f"app-{number}",
        "namespace": f"team-{number % size.namespaces}",
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "resourceVersion": str(number + revision + 1),
        "creationTimestamp": DAY,
        "labels": {"app": f"app-{number}", "team": f"team-{number % size.namespaces}"},
    }


def service(size: Size, number: int) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"},
        {"name": "tcp-admin", "port": 9000, "targetPort": 9000, "protocol": "TCP"},
    ]
    address = f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(size, number),
        "spec": {"clusterIP": address, "clusterIPs": [address], "selector": {"app": f"app-{number}"}, "ports": ports},
    }


def endpoint_slice(size: Size, number: int, revision: int = 0) -> dict[str, Any]:
    """The service's endpoints; another `revision` has another first address."""
    meta = metadata(size, number, revision)
    meta["name"] += "-x7k2p"
    meta["labels"] = {**meta["labels"], "kubernetes.io/service-name": f"app-{number}"}
    endpoints = []
    for place in range(size.endpoints):
        index = number * size.endpoints + place
        low = (index + 7 * revision) & 255 if place == 0 else index & 255
        endpoints.append(
            {
                "addresses": [f"172.{16 + (index >> 16)}.{index >> 8 & 255}.{low}"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node-{index % 200}",
                "zone": f"zone-{index % 3}",
                "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": f"app-{number}-{place}"},
            }
        )
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": meta,
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080}, {"name": "tcp-admin", "port": 9000}],
    }


def host(size: Size, number: int) -> str:
    return f"app-{number}.team-{number % size.namespaces}.svc.cluster.local"


def destination_rule(size: Size, number: int) -> dict[str, Any]:
    spec = {
        "host": host(size, number),
        "trafficPolicy": {
            "loadBalancer": {"simple": "LEAST_REQUEST"},
            "connectionPool": {"tcp": {"maxConnections": 100}, "http": {"http1MaxPendingRequests": 64}},
            "outlierDetection": {"consecutive5xxErrors": 7, "interval": "10s", "baseEjectionTime": "30s"},
        },
        "subsets": [{"name": version, "labels": {"version": version}} for version in ("v1", "v2", "v3")],
    }
    return _istio("DestinationRule", metadata(size, number), spec)


def virtual_service(size: Size, number: int, revision: int = 0) -> dict[str, Any]:
    """Four rules; another `revision` has another split between the subsets."""
    target = host(size, number)
    share = 50 + revision % 50

    def to(subset: str) -> list[dict[str, Any]]:
        return [{"destination": {"host": target, "subset": subset}}]

    http = [
        {"name": "jason", "match": [{"headers": {"end-user": {"exact": "jason"}}}], "route": to("v2")},
        {
            "name": "api",
            "match": [{"uri": {"prefix": "/api/v3/"}}, {"uri": {"regex": "/beta/[a-z]+"}}],
            "rewrite": {"uri": "/"},
            "route": to("v3"),
            "timeout": "3s",
        },
        {"name": "moved", "match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}},
        {
            "name": "default",
            "route": [{**to("v1")[0], "weight": share}, {**to("v2")[0], "weight": 100 - share}],
            "retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx,reset"},
            "headers": {"request": {"set": {"x-mesh": "on"}}},
        },
    ]
    return _istio("VirtualService", metadata(size, number, revision), {"hosts": [target], "http": http})


def gateway(number: int) -> dict[str, Any]:
    """The one of a namespace, named as that."""
    meta = {"name": f"team-{number}", "namespace": f"team-{number}", "creationTimestamp": DAY}
    listeners = [
        {"name": "any", "port": 80, "protocol": "HTTP"},
        {"name": "own", "port": 80, "protocol": "HTTP", "hostname": f"*.team-{number}.example"},
    ]
    return _route("Gateway", meta, {"gatewayClassName": "nodemesh", "listeners": listeners})


def http_route(size: Size, number: int, revision: int = 0) -> dict[str, Any]:
    """Four rules; another `revision` has another split between two Services of the namespace."""
    meta = metadata(size, number, revision)
    share = 50 + revision % 50
    second = (number + size.namespaces) % size.services

    def to(*backends: tuple[int, int]) -> list[dict[str, Any]]:
        return [{"name": f"app-{one}", "port": 80, "weight": weight} for one, weight in backends]

    set_field = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-mesh", "value": "on"}]}}
    moved = {
        "type": "RequestRedirect",
        "requestRedirect": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/"}},
    }
    rules = [
        {"matches": [{"headers": [{"name": "end-user", "value": "jason"}]}], "backendRefs": to((second, 1))},
        {
            "matches": [{"path": {"value": "/api/v3"}}, {"path": {"type": "RegularExpression", "value": "/b/[a-z]+"}}],
            "backendRefs": to((number, 1)),
            "timeouts": {"request": "3s"},
        },
        {"matches": [{"path": {"type": "Exact", "value": "/old"}}], "filters": [moved]},
        {"filters": [set_field], "backendRefs": to((number, share), (second, 100 - share))},
    ]
    if number % 2:
        parents, hostnames = [{"name": meta["namespace"]}], [f"app-{number}.{meta['namespace']}.example"]
        return _route("HTTPRoute", meta, {"parentRefs": parents, "hostnames": hostnames, "rules": rules})
    parents = [{"group": "", "kind": "Service", "name": f"app-{number}"}]
    return _route("HTTPRoute", meta, {"parentRefs": parents, "rules": rules})


def _route(kind: str, meta: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}


def _istio(kind: str, meta: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec}
