"""Several clusters as one mesh: a Store for each, and one Snapshot of them all.

Istio's rules (sameness): Services of the same namespace and name are one service, whose endpoints are those of every
cluster. Ports and settings are those of the own cluster's Service, where it has one, else of the first other cluster by
name. Rules, gateways and ServiceEntries are the own cluster's alone, and so are clients. What MeshConfig's
serviceSettings call clusterLocal is not shared, nor are kube-system and the Kubernetes API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..config.core import CredentialSpec
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object
from ..config.problems import Problem
from ..config.reach import Reach
from .assemble import ObjectKey, Objects, by_key, key_of
from .changed import changed_keys
from .meshes import is_mesh
from .snapshot import Resolution, Service, Snapshot, Workload
from .staging import Staging
from .store import Edit, Store, shortened

#: What Istio never shares between clusters unless told to.
LOCAL_NAMESPACES = ("kube-system",)
LOCAL_SERVICES = (("kubernetes", "default"),)

#: The source of the settings, which are the own cluster's, in the other clusters' stores.
SETTINGS = "settings"

#: The rank of the own cluster's services where several want an address.
OWN = -1


class Registry:
    """`apply` takes in what the own cluster's sources say, `apply_remote` what another cluster does."""

    def __init__(self, cluster: str = "", *, gateway: bool = False) -> None:
        """`cluster` is the own cluster's name; `gateway` where this process serves Gateways, and nothing but them."""
        self.snapshot = Snapshot()
        self._own = Store(cluster, gateway=gateway)
        self._remotes: dict[str, Store] = {}
        self._meshes: dict[ObjectKey, Object[Any]] = {}  # the settings, which hold for all
        self._held: dict[str, set[ObjectKey]] = {}  # by remote cluster
        self._merged = Merger()

    @property
    def secrets(self) -> dict[str, CredentialSpec]:
        """The own cluster's, as Store has them."""
        return self._own.secrets

    @property
    def reach(self) -> Reach:
        """What the own cluster's objects may name, as Store has it."""
        return self._own.reach

    def take_edits(self) -> list[Edit]:
        """The own cluster's, as Store has them."""
        return self._own.take_edits()

    @property
    def staging(self) -> Staging:
        """The own cluster's rollouts."""
        return self._own.staging

    @property
    def objections(self) -> Mapping[ObjectKey, tuple[Problem, ...]]:
        """The own cluster's, as Store has them."""
        return self._own.objections

    def hosts_behind(self, workload: str) -> set[str]:
        """As Assembler's, of the own cluster."""
        return self._own.hosts_behind(workload)

    def hosts_beside(self, workload: Workload) -> set[str]:
        """As Assembler's, of the own cluster."""
        return self._own.hosts_beside(workload)

    def apply(
        self,
        source: str,
        changed: Objects = (),
        removed: Iterable[ObjectKey] = (),
        problems: Iterable[Problem] | None = None,
    ) -> Snapshot:
        """Take a change of one source of the own cluster in; the new snapshot."""
        changed, removed = by_key(changed), tuple(removed)
        before = self._own.snapshot
        own = self._own.apply(source, changed, removed, problems)
        if any(is_mesh(key.kind, key.namespace, key.name) for key in (*changed, *removed)):
            before_meshes, self._meshes = self._meshes, {key_of(item): item for item in self._own.meshes()}
            for store in self._remotes.values():
                store.apply(SETTINGS, self._meshes.values(), before_meshes.keys() - self._meshes.keys())
        return self._advance(own.causes if own is not before else (), of_own=True)

    def apply_remote(
        self, cluster: str, changed: Objects, removed: Iterable[ObjectKey], *, whole: bool = False
    ) -> Snapshot:
        """Take in changes of another cluster; with `whole`, `changed` is all there is. What is wrong with another
        cluster's objects is told there."""
        store = self._remotes.get(cluster)
        if store is None:
            store = self._remotes[cluster] = Store(cluster, remote=True)
            store.apply(SETTINGS, self._meshes.values())
        changed = by_key(changed)
        held = self._held.setdefault(cluster, set())
        now = set(changed)
        removed = held - now if whole else set(removed)
        held |= now
        held -= removed
        before = store.snapshot
        after = store.apply(cluster, changed, removed)
        return self._advance([f"{cluster}: {cause}" for cause in after.causes] if after is not before else ())

    def remove_remote(self, cluster: str) -> Snapshot:
        """The mesh goes on without that cluster."""
        self._held.pop(cluster, None)
        if self._remotes.pop(cluster, None) is None:
            return self.snapshot
        return self._advance((f"cluster {cluster} removed",))

    def _advance(self, causes: Sequence[str], *, of_own: bool = False) -> Snapshot:
        """Other clusters count by their services alone: what changes none of them is no new version."""
        own = self._own.snapshot
        remotes = {name: store.snapshot for name, store in sorted(self._remotes.items())}
        services = self._merged.update(own, remotes)
        if causes and (of_own or services is not self.snapshot.services):
            self.snapshot = msgspec.structs.replace(
                own, version=self.snapshot.version + 1, causes=shortened(list(causes)), services=services
            )
        return self.snapshot


class Merger:
    """The services of all clusters by host; only those are merged again that changed in one of them."""

    def __init__(self) -> None:
        self._before: dict[str, Mapping[str, tuple[Service, ...]]] = {}  # by remote cluster
        self._own: Mapping[str, tuple[Service, ...]] = {}
        self._mesh = MeshConfigSpec()
        self._merged: Mapping[str, tuple[Service, ...]] = {}
        self._claims: dict[str, dict[str, int]] = {}  # by address: the hosts that want it, with their rank
        self._wants: dict[str, frozenset[str]] = {}  # the same by host

    def update(self, own: Snapshot, remotes: Mapping[str, Snapshot]) -> Mapping[str, tuple[Service, ...]]:
        """`remotes` by the clusters' names, in their order."""
        if not remotes and not self._before:
            return own.services
        dirty = changed_keys(own.services, self._own)
        now = {name: snapshot.services for name, snapshot in remotes.items()}
        for name in now.keys() | self._before.keys():
            dirty |= changed_keys(now.get(name, {}), self._before.get(name, {}))
        if list(now) != list(self._before) or own.mesh is not self._mesh:
            dirty |= own.services.keys() | {host for services in now.values() for host in services}
        self._own, self._before, self._mesh = own.services, now, own.mesh
        if now and not dirty:
            return self._merged
        merged = dict(self._merged)
        wanted = {host: self._merge(host) for host in dirty}
        for host in self._claim(wanted) - wanted.keys():
            wanted[host] = self._merge(host)
        for host, services in wanted.items():
            services = tuple(self._with_own_addresses(service) for service in services)
            if services:
                merged[host] = merged[host] if merged.get(host) == services else services
            else:
                merged.pop(host, None)
        self._merged = merged if now else {}
        if not now:
            self._claims, self._wants = {}, {}
            return own.services
        return merged

    def _merge(self, host: str) -> tuple[Service, ...]:
        own = self._own.get(host, ())
        others = [found[0] for services in self._before.values() if (found := services.get(host))]
        others = [service for service in others if not is_local(service, self._mesh)]
        first = next((service for service in own if service.kind == "Service"), None)
        rest = tuple(service for service in own if service is not first)
        base = first if first is not None else next(iter(others), None)
        if base is None or not others:
            return own
        alike = [service for service in others if service is not base and service.resolution is base.resolution]
        if not alike or base.resolution is Resolution.ALIAS:  # it has no endpoints
            return (base, *rest)
        endpoints = {
            port: (*mine, *(endpoint for service in alike for endpoint in service.endpoints.get(port, ())))
            for port, mine in base.endpoints.items()
        }
        hints_nodes = any(service.hints_nodes for service in (base, *alike))
        return (msgspec.structs.replace(base, endpoints=endpoints, hints_nodes=hints_nodes), *rest)

    def _claim(self, wanted: Mapping[str, tuple[Service, ...]]) -> set[str]:
        """Note who wants which address; the hosts that are to be decided again. Clusters hand out the same addresses:
        one that means a service here cannot mean another one of elsewhere."""
        touched: set[str] = set()
        for host, services in wanted.items():
            before, now = self._wants.pop(host, frozenset()), addresses_of(services)
            if now:
                self._wants[host] = now
            rank = self._rank(host)
            for address in before | now:
                claims = self._claims.setdefault(address, {})
                claims.pop(host, None)
                if address in now:
                    claims[host] = rank
                touched |= claims.keys()
                if not claims:
                    del self._claims[address]
        return touched

    def _rank(self, host: str) -> int:
        """The place of the first cluster that has it."""
        if host in self._own:
            return OWN
        return next((index for index, services in enumerate(self._before.values()) if host in services), OWN)

    def _with_own_addresses(self, service: Service) -> Service:
        """Without those addresses that mean another service."""
        if service.host in self._own:
            return service
        kept = tuple(address for address in service.addresses if self._owner(address) == service.host)
        return service if kept == service.addresses else msgspec.structs.replace(service, addresses=kept)

    def _owner(self, address: str) -> str:
        claims = self._claims.get(address, {})
        return min(claims, key=lambda host: (claims[host], host), default="")


def addresses_of(services: Iterable[Service]) -> frozenset[str]:
    return frozenset(address for service in services for address in service.addresses)


def is_local(service: Service, mesh: MeshConfigSpec) -> bool:
    """Whether every cluster means its own by this host. The most specific of the patterns that fit decides."""
    fitting = [
        (len(pattern), setting.settings.cluster_local)
        for setting in mesh.service_settings
        for pattern in setting.hosts
        if pattern == service.host or pattern.startswith("*") and service.host.endswith(pattern[1:])
    ]
    if fitting:
        return max(fitting)[1]
    return service.namespace in LOCAL_NAMESPACES or (service.name, service.namespace) in LOCAL_SERVICES
