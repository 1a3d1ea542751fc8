"""nodemesh as a user runs it without root: a folder of YAML, one exposed port, one worker, an access log."""

from __future__ import annotations

import importlib.machinery
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from . import rules
from .processes import free_port
from .proxy import LOOPBACK, Proxy

#: The agent under test: with NODEMESH_COMPILE=1 the one that `make compiled` has built.
AGENT = Path(__file__).parents[2] / ("build/compiled" if os.environ.get("NODEMESH_COMPILE") == "1" else "agent")
CLIENT = "client"  # the pod as which the load is taken

#: What the processes of an agent of a cluster are made of.
PARTS = (
    "nodemesh.cli.run", "nodemesh.node.supervisor", "nodemesh.node.control_process", "nodemesh.node.worker",
    "nodemesh.registry.sources.cluster", "nodemesh.registry.sources.kubernetes",
)  # fmt: skip


class Nodemesh(Proxy):
    """One agent: its supervisor, its control process and one worker are all accounted."""

    name = "nodemesh"
    environment = {"PYTHONPATH": str(AGENT)}

    def command(self) -> Sequence[str]:
        config = self.folder / "mesh.yaml"
        config.write_text(
            yaml.safe_dump_all([*objects(self.upstream_port, self.protocol), *self.observed()], sort_keys=False)
        )
        host = f"{rules.HOST}.{rules.NAMESPACE}.svc.cluster.local"
        return [
            *(sys.executable, "-m", "nodemesh", "run", "--config", str(config)),
            *("--expose", f"{host}:{rules.PORT}={LOOPBACK}:{self.port}", "--as", f"{rules.NAMESPACE}/{CLIENT}"),
            *("--workers", "1", "--ebpf", "off", "--admin", f"{LOOPBACK}:{free_port()}"),
            *(("--access-log", str(self.access_log)) if self.logs else ()),
        ]

    def observed(self) -> Iterator[dict[str, Any]]:
        """What is said of its telemetry, if anything is."""
        yield from ()


def byte_code(folder: Path) -> dict[str, str]:
    """The environment of an agent that finds its modules' byte code, in this folder. Where it is installed it does, by
    pip or in the image; in a checkout whose Python may write none, a start is for the most part Python's compiler."""
    found = {"PYTHONPATH": str(AGENT), "PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", f"import {', '.join(PARTS)}"], env={**os.environ, **found}, check=True)
    return found


def compiled() -> bool:
    """Whether the worker's modules are extensions built by mypyc (NODEMESH_COMPILE=1) in this tree."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    return any(path.name.endswith(suffixes) for path in (AGENT / "nodemesh" / "proxy").iterdir())


def objects(pod_port: int, protocol: str = "http") -> Iterator[dict[str, Any]]:
    """The mesh of rules.py as Kubernetes and Istio objects; every pod listens on `pod_port`."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rules.NAMESPACE}}
    yield pod(CLIENT, "127.77.0.1", {"app": CLIENT})
    for name, (address, app, version) in rules.pods().items():
        yield pod(name, address, {"app": app, "version": version})
    yield service(rules.HOST, rules.ADDRESS, pod_port, protocol)
    for number, app in enumerate(rules.NEIGHBOURS, 11):
        yield service(app, f"10.96.77.{number}", pod_port, protocol)
        yield virtual_service(app, [{"route": [{"destination": {"host": app}}], "timeout": f"{rules.TIMEOUT}s"}])
    subsets = [{"name": version, "labels": {"version": version}} for version in rules.SUBSETS]
    yield istio("DestinationRule", rules.HOST, {"host": rules.HOST, "subsets": subsets})
    yield virtual_service(rules.HOST, [http_route(rule) for rule in rules.RULES])


def metadata(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"name": name, "namespace": rules.NAMESPACE, "labels": labels or {}}


def pod(name: str, address: str, labels: dict[str, str]) -> dict[str, Any]:
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    spec = {"containers": [{"name": "app", "image": "nginx"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(name, labels), "spec": spec, "status": status}


def service(app: str, address: str, pod_port: int, protocol: str) -> dict[str, Any]:
    port = {"name": protocol, "port": rules.PORT, "targetPort": pod_port}
    spec = {"clusterIP": address, "selector": {"app": app}, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(app), "spec": spec}


def istio(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata(name), "spec": spec}


def virtual_service(app: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    return istio("VirtualService", app, {"hosts": [app], "http": routes})


def http_route(rule: rules.Rule) -> dict[str, Any]:
    """One of the ten rules as Istio writes it."""
    found: dict[str, Any] = {"name": rule.name}
    match: dict[str, Any] = {}
    if rule.prefix:
        match["uri"] = {"prefix": rule.prefix}
    if rule.headers:
        match["headers"] = {name: {"exact": value} for name, value in rule.headers}
    if match:
        found["match"] = [match]
    if rule.redirect:
        return {**found, "redirect": {"uri": rule.redirect}}
    if rule.rewrite:
        found["rewrite"] = {"uri": rule.rewrite}
    return {
        **found,
        "route": [{"destination": {"host": rules.HOST, "subset": rule.subset}}],
        "timeout": f"{rules.TIMEOUT}s",
        "headers": {
            "request": {"set": dict([rules.REQUEST_HEADER])},
            "response": {"set": dict([rules.answer_header(rule)])},
        },
    }
