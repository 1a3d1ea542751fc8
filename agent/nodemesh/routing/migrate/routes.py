"""A VirtualService as HTTPRoutes, TLSRoutes and TCPRoutes: one for each kind of parent, with its hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...config.meta import Object
from ...config.virtualservice import VirtualServiceSpec
from ...registry.snapshot import Snapshot
from ..names import MESH_GATEWAY, resolve_gateway
from .notes import Note, Notes
from .rules import Manifest, RuleWriter

API = "gateway.networking.k8s.io/v1"
#: The most rules of one route, and of parents.
MAX_RULES = 16
MAX_PARENTS = 32


class Migrated(NamedTuple):
    """What became of one VirtualService."""

    source: Object[VirtualServiceSpec]
    routes: tuple[Manifest, ...]
    notes: tuple[Note, ...]


def migrate(snapshot: Snapshot) -> Iterator[Migrated]:
    """Every VirtualService, in the order of their places."""
    items = snapshot.virtual_services.values()
    for item in sorted(items, key=lambda entry: (entry.location.file, entry.location.line)):
        yield Migration(item, snapshot).run()


class Migration:
    def __init__(self, item: Object[VirtualServiceSpec], snapshot: Snapshot) -> None:
        self._item = item
        self._notes = Notes(item)
        self._domain = snapshot.mesh.cluster_domain
        self._writer = RuleWriter(item.meta.namespace, self._notes, snapshot.services, self._domain)

    def run(self) -> Migrated:
        spec = self._item.spec
        routes: list[Manifest] = []
        if not spec.hosts:
            self._notes.lost(("spec",), "a delegate has no hosts: attach its rules as a route of their own")
            return Migrated(self._item, (), tuple(self._notes.found))
        for field, message in (
            ("exportTo", "a producer route is for all clients, a consumer route for its namespace's"),
        ):
            if spec.export_to:
                self._notes.note(("spec", field), f"routes have no exportTo: {message}")
        gateways = spec.gateways or (MESH_GATEWAY,)
        edge = [name for name in gateways if name != MESH_GATEWAY]
        if edge:
            routes += self._routes("", self._gateways(edge), [host for host in spec.hosts if host != "*"])
        if MESH_GATEWAY in gateways:
            parents = self._services()
            if parents:
                routes += self._routes("-mesh" if edge else "", parents, [])
        return Migrated(self._item, tuple(routes), tuple(self._notes.found))

    def _gateways(self, names: list[str]) -> list[Manifest]:
        found = []
        for name in names:
            namespace, _, bare = resolve_gateway(name, self._item.meta.namespace).partition("/")
            parent = {"name": bare}
            if namespace != self._item.meta.namespace:
                parent["namespace"] = namespace
            text = f"Gateway {namespace}/{bare} has to be one of the Gateway API, whose listeners let this route attach"
            self._notes.note(("spec", "gateways", self._item.spec.gateways.index(name)), text)
            found.append(parent)
        return found

    def _services(self) -> list[Manifest]:
        """The hosts that are Services."""
        found: list[Manifest] = []
        for index, host in enumerate(self._item.spec.hosts):
            named = self._writer.service_name(host)
            if named is None:
                text = f"in the mesh routes stand on Services: {host} is none"
                self._notes.lost(("spec", "hosts", index), text)
                continue
            parent: Manifest = {"group": "", "kind": "Service", "name": named[0]}
            if named[1] != self._item.meta.namespace:
                parent["namespace"] = named[1]
            found.append(parent)
        return found

    def _routes(self, suffix: str, parents: list[Manifest], hosts: list[str]) -> Iterator[Manifest]:
        spec = self._item.spec
        rules = []
        for index, route in enumerate(spec.http):
            rule = self._writer.rule(route, ("spec", "http", index))
            if rule is not None:
                rules.append(rule)
        self._order(rules)
        for start in range(0, len(rules), MAX_RULES):
            more = f"-{start // MAX_RULES + 1}" if start else ""
            content: Manifest = {"parentRefs": parents, **({"hostnames": hosts} if hosts else {})}
            yield self._made("HTTPRoute", suffix + more, {**content, "rules": rules[start : start + MAX_RULES]})
        for kind, list_ in (("tls", spec.tls), ("tcp", spec.tcp)):
            for index, entry in enumerate(list_):
                yield from self._connections(kind, index, entry, parents, suffix)

    def _connections(
        self, kind: str, index: int, entry: Any, parents: list[Manifest], suffix: str
    ) -> Iterator[Manifest]:
        names: list[str] = []
        ports = {match.port for match in entry.match}
        if len(ports) == 1 and None not in ports:  # a parentRef's, in the mesh as at a Gateway
            parents = [parent | {"port": port} for parent in parents for port in ports]
        for place, match in enumerate(entry.match):
            for field, json in (
                ("destination_subnets", "destinationSubnets"), ("source_labels", "sourceLabels"),
                ("source_namespace", "sourceNamespace"), ("gateways", "gateways"), ("port", "port"),
            ):  # fmt: skip
                if getattr(match, field) and not (field == "port" and len(ports) == 1):
                    path = ("spec", kind, index, "match", place, json)
                    self._notes.lost(path, f"routes cannot match connections by {json}")
            names += getattr(match, "sni_hosts", ())
        backends = [
            self._writer.backend(
                one.destination, ("spec", kind, index, "route", place, "destination"), one.weight, None
            )
            for place, one in enumerate(entry.route)
        ]
        content: Manifest = {"parentRefs": parents, **({"hostnames": names} if names else {})}
        name = f"{suffix}-{kind}" + (f"-{index}" if index else "")
        yield self._made(
            "TLSRoute" if kind == "tls" else "TCPRoute", name, {**content, "rules": [{"backendRefs": backends}]}
        )

    def _made(self, kind: str, suffix: str, spec: Manifest) -> Manifest:
        meta = {"name": self._item.meta.name + suffix, "namespace": self._item.meta.namespace}
        return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec}

    def _order(self, rules: list[Manifest]) -> None:
        """Rules of routes are tried by how specific they are, not in their order."""
        ranks = [min((rank(match) for match in rule.get("matches", [{}])), default=rank({})) for rule in rules]
        for index in range(1, len(ranks)):
            if ranks[index] < ranks[index - 1]:
                text = (
                    f"rule {index} is more specific than the one before it and is tried first now: exact path, longest "
                    "prefix, method, headers, parameters decide, not the order"
                )
                self._notes.note(("spec", "http", index), text)


def rank(match: Manifest) -> tuple[int, int, int, int, int]:
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    order = ("Exact", "PathPrefix", "RegularExpression").index(path["type"])
    length = len(path["value"].rstrip("/")) if order == 1 else 0
    counts = -len(match.get("headers", ())), -len(match.get("queryParams", ()))
    return (order, -length, 0 if "method" in match else 1, *counts)
