"""What a Sidecar lets its workloads see of the mesh: the egress hosts, and what becomes of unknown destinations."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from ..config.meshconfig import MeshConfigSpec, MeshOutboundMode, OutboundMode
from ..config.virtualservice import Destination
from ..registry.services import selects
from .client import Client
from .names import covers, resolve_host
from .tables import Sidecar, Tables
from .wildcards import Wildcards


class Import:
    """One entry `namespace/dnsName` of an egress listener; `port` 0 is any."""

    __slots__ = ("excluded", "host", "namespace", "port")

    def __init__(self, entry: str, port: int, owner: str, domain: str) -> None:
        namespace, _, host = entry.rpartition("/")
        self.excluded = namespace.startswith("~") and namespace != "~"
        namespace = namespace.removeprefix("~") if self.excluded else namespace or "*"
        self.namespace = owner if namespace == "." else namespace
        self.host = resolve_host(host, self.namespace if self.namespace not in ("*", "~") else owner, domain)
        self.port = port

    def touches(self, namespace: str, host: str) -> bool:
        """Whether the two share a name, whichever is the wider one."""
        return self.namespace in ("*", namespace) and (covers(self.host, host) or covers(host, self.host))


class Scope:
    """The part of the mesh that one client sees. Without a Sidecar everything that is exported to it. A Sidecar may
    have very many hosts: its entries are kept by them, and what was found of a VirtualService's hosts is remembered."""

    __slots__ = ("_by_host", "_imported", "_imports", "_wildcards", "by_host", "egress_proxy", "policy", "sidecar")

    def __init__(self, sidecar: Sidecar | None, mesh: MeshConfigSpec) -> None:
        self.sidecar = sidecar
        mode = mesh.outbound_traffic_policy.mode
        self.policy = OutboundMode.REGISTRY_ONLY if mode is MeshOutboundMode.REGISTRY_ONLY else OutboundMode.ALLOW_ANY
        self.by_host = mode is MeshOutboundMode.ALLOW_ANY_DYNAMIC_DNS  # plain HTTP to unknown destinations
        self.egress_proxy: Destination | None = None  # where unknown destinations go instead of passing through
        self._imports: tuple[Import, ...] | None = None
        self._by_host: dict[str, list[Import]] = {}
        self._wildcards = Wildcards(())
        self._imported: dict[tuple[str, tuple[str, ...]], bool] = {}
        if sidecar is None:
            return
        policy = sidecar.spec.outbound_traffic_policy
        if policy is not None:  # the enum's zero value is REGISTRY_ONLY
            self.policy = policy.mode or OutboundMode.REGISTRY_ONLY
            self.by_host = False
            proxy = policy.egress_proxy
            if proxy is not None:
                host = resolve_host(proxy.host or "", sidecar.namespace, mesh.cluster_domain)
                self.egress_proxy = replace(proxy, host=host)
        if sidecar.spec.egress:
            self._imports = tuple(
                Import(
                    host,
                    listener.port.number or 0 if listener.port is not None else 0,
                    sidecar.namespace,
                    mesh.cluster_domain,
                )
                for listener in sidecar.spec.egress
                for host in listener.hosts
            )
            for entry in self._imports:
                self._by_host.setdefault(entry.host, []).append(entry)
            self._wildcards = Wildcards(self._by_host)

    def sees(self, namespace: str, host: str, port: int = 0) -> bool:
        """Whether a host of a namespace is imported (on that port, if one is given)."""
        if self._imports is None:
            return True
        held = False
        for entry in self._covering(host):
            if (not port or not entry.port or entry.port == port) and entry.namespace in ("*", namespace):
                if entry.excluded:
                    return False
                held = True
        return held

    def _covering(self, host: str) -> Iterator[Import]:
        """The entries whose hosts cover one."""
        yield from self._by_host.get(host, ())
        for pattern in self._wildcards.covering(host):
            if pattern != host:
                yield from self._by_host[pattern]

    def imports(self, namespace: str, hosts: tuple[str, ...]) -> bool:
        """Whether a VirtualService of these hosts is imported: as a whole, if one of them is, and be it in part
        (Istio's SelectVirtualServices)."""
        if self._imports is None:
            return True
        known = self._imported.get((namespace, hosts))
        if known is None:
            known = self._imported[namespace, hosts] = any(self._touches(namespace, host) for host in hosts)
        return known

    def _touches(self, namespace: str, host: str) -> bool:
        """Whether a host is imported, and be it in part."""
        found = [entry for entry in self._covering(host) if entry.namespace in ("*", namespace)]
        if any(entry.excluded for entry in found):
            return False
        if found or not host.startswith("*"):
            return bool(found)
        return any(entry.touches(namespace, host) for entry in self._imports or () if not entry.excluded)


def sidecar_of(tables: Tables, client: Client) -> Sidecar | None:
    """The Sidecar that applies to a client: of its namespace, selecting it; of its namespace, for all; the root
    namespace's. The oldest of each. Gateways have none."""
    if client.gateway:
        return None
    general: Sidecar | None = None
    root: Sidecar | None = None
    for sidecar in tables.sidecars:
        if sidecar.namespace == client.namespace:
            if sidecar.selector:
                if selects(sidecar.selector, client.labels):
                    return sidecar
            elif general is None:
                general = sidecar
        elif sidecar.namespace == tables.mesh.root_namespace and not sidecar.selector and root is None:
            root = sidecar
    return general or root
