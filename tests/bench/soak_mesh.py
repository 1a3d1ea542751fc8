"""The mesh of suite `soak`: pods that answer well, die, hang, reset and trickle, and what may be answered for each."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

NAMESPACE = "soak"
HOST = f"shop.{NAMESPACE}.svc.cluster.local"
VIRTUAL_ADDRESS = "10.96.78.10"

#: How each pod behaves -> the loopback addresses of those that do so.
PODS = {
    "steady": ("127.78.0.1", "127.78.0.2"),
    "dying": ("127.78.0.3",),
    "hanging": ("127.78.0.4",),
    "resetting": ("127.78.0.5",),
    "trickling": ("127.78.0.6",),
}


class Kind(NamedTuple):
    """One kind of request, by the first segment of its path: how often it comes, what its rule says beside the
    destination, which statuses other than 200 it may get, and whether an answer may break off."""

    share: int
    subset: str
    rule: dict[str, Any]
    statuses: tuple[int, ...] = ()
    breaks: bool = False


KINDS = {
    "steady": Kind(40, "steady", {"timeout": "10s", "mirrors": [
        {"destination": {"host": "shop", "subset": "hanging"}, "percentage": {"value": 3}},
        {"destination": {"host": "shop", "subset": "resetting"}, "percentage": {"value": 10}},
    ]}),
    "mixed": Kind(25, "", {"timeout": "4s", "retries": {
        "attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx,reset,connect-failure"}}, (502, 503, 504), True),
    "dying": Kind(10, "dying", {}, (503,), True),
    "hanging": Kind(5, "hanging", {"timeout": "0.5s"}, (504,)),
    "resetting": Kind(10, "resetting", {"retries": {"attempts": 0}}, (502, 503), True),
    "trickling": Kind(5, "trickling", {}),
    "faulty": Kind(5, "steady", {"fault": {
        "delay": {"fixedDelay": "0.05s", "percentage": {"value": 20}},
        "abort": {"httpStatus": 418, "percentage": {"value": 20}}}}, (418,)),
}  # fmt: skip


def content(token: str, size: int) -> bytes:
    """The body that belongs to a token: nobody else's bytes look like it."""
    digest = hashlib.sha256(token.encode()).hexdigest().encode()
    return (digest * (size // len(digest) + 1))[:size]


def objects(port: int, version: int) -> list[dict[str, Any]]:
    """The whole mesh; the version is in an answer's field, so that each rewrite of the file is a change."""
    rules = [rule(name, kind, version) for name, kind in KINDS.items()]
    return [
        resource("v1", "Namespace", NAMESPACE, {}),
        *(pod(f"{kind}-{number}", kind, address) for kind, addresses in PODS.items()
          for number, address in enumerate(addresses)),
        resource("v1", "Service", "shop", {
            "clusterIP": VIRTUAL_ADDRESS, "selector": {"app": "shop"},
            "ports": [{"name": "http", "port": 80, "targetPort": port}]}),
        istio("DestinationRule", {
            "host": "shop",
            "trafficPolicy": {"connectionPool": {"http": {"idleTimeout": "2s"}}},
            "subsets": [{"name": kind, "labels": {"kind": kind}} for kind in PODS]}),
        istio("VirtualService", {"hosts": ["shop"], "http": rules}),
    ]  # fmt: skip


def rule(name: str, kind: Kind, version: int) -> dict[str, Any]:
    destination = {"host": "shop", "subset": kind.subset} if kind.subset else {"host": "shop"}
    return {
        "name": name,
        "match": [{"uri": {"prefix": f"/{name}/"}}],
        "route": [{"destination": destination}],
        "headers": {"response": {"set": {"x-version": str(version)}}},
        **kind.rule,
    }


def pod(name: str, kind: str, address: str) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    found = resource("v1", "Pod", name, {})
    found["metadata"]["labels"] = {"app": "shop", "kind": kind}
    found["status"] = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
    return found


def istio(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return resource("networking.istio.io/v1", kind, "shop", spec)


def resource(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} if kind == "Namespace" else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
