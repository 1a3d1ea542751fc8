"""Objects to services and workloads: keeps what was assembled and, on a change, builds again only what it touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from sys import intern
from typing import Any, TypeAlias

import msgspec

from ..config.kinds import CORE_KINDS, KINDS
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object
from .allocate import Applicant, allocate, applies, places_held
from .entries import services_of
from .merge import merged, precedence
from .meshes import ISTIO_MESH, is_mesh, mesh_of
from .podindex import PodIndex
from .services import Backends, distribution_of, selects, service_of, with_former_endpoints
from .site import Site, site_of
from .slices import ListedAddresses, Place, Reference, ServiceSource, place_of, slice_service, targets_of
from .snapshot import Namespace, Service, Workload
from .workloads import workload_of_entry, workload_of_pod

#: Objects that stand in no namespace.
CLUSTER_SCOPED = frozenset({"Namespace", "Node", "GatewayClass", "XMesh"})
#: The kinds that services, workloads and the site are made of, by name, and those that are looked up by name alone; no
#: two groups have the same.
GROUPS = {
    kind.name: kind.group
    for kind in KINDS.values()
    if kind.name in ("ServiceEntry", "WorkloadEntry", "MeshConfig") or kind in CORE_KINDS
}
#: Kinds that every service depends on, beside what the mesh's settings are made of.
SITE_KINDS = frozenset({"Namespace", "Node"})

#: Sets that are gone through in the order in which they were filled: what lies side by side in memory is met one after
#: the other, which is a third of the time that a whole cluster takes.
Places: TypeAlias = dict[Place, None]
Sources: TypeAlias = dict[ServiceSource, None]

#: The objects of a namespace that has none of a kind.
_NOTHING: dict[str, Object[Any]] = {}


class ObjectKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """What names an object."""

    kind: str
    namespace: str
    name: str
    group: str = ""  # the API group, which is part of what a kind is

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def key_of(item: Object[Any]) -> ObjectKey:
    namespace = "" if item.kind in CLUSTER_SCOPED else item.meta.namespace
    return ObjectKey(item.kind, namespace, item.meta.name, item.group)


#: Objects as they are handed on, by what names them where that is known already: a big cluster's keys are 10 MB.
Objects = Iterable[Object[Any]] | Mapping[ObjectKey, Object[Any]]


def by_key(objects: Objects) -> Mapping[ObjectKey, Object[Any]]:
    return objects if isinstance(objects, Mapping) else {key_of(item): item for item in objects}


def assembles(key: ObjectKey) -> bool:
    """Whether the assembler keeps objects of this kind."""
    return GROUPS.get(key.kind) == key.group


class Assembler:
    """Holds the objects in force and what they make. The mappings it shows are never changed, only replaced."""

    def __init__(self, cluster: str = "", *, remote: bool = False) -> None:
        self._cluster = cluster
        self._remote = remote
        self.mesh = MeshConfigSpec()
        self.namespaces: Mapping[str, Namespace] = {}
        self.workloads: Mapping[str, Workload] = {}
        self.services: Mapping[str, tuple[Service, ...]] = {}
        self._objects: dict[str, dict[str, dict[str, Object[Any]]]] = {kind: {} for kind in GROUPS}
        self._slices: dict[ServiceSource, tuple[Object[Any], ...]] = {}
        self._references: dict[str, tuple[Reference, ...]] = {}  # by the workload's key
        self._gone: dict[str, str] = {}  # the uid of the last pod of that key that went, while slices name one
        self._pods: dict[str, PodIndex] = {}  # by namespace
        self._built: dict[ServiceSource, tuple[Service, ...]] = {}
        self._sources: dict[str, tuple[ServiceSource, ...]] = {}  # by host
        self.site = Site(cluster=cluster, remote=remote)
        self._applicants: Mapping[ServiceSource, tuple[Applicant, ...]] = {}  # for addresses of the mesh's own
        self._held: Mapping[ServiceSource, tuple[int, ...]] = {}  # places of such addresses that hosts have from others
        self._allocated: Mapping[tuple[str, str], tuple[str, ...]] = {}  # by namespace and host

    def of_kind(self, kind: str) -> dict[str, Object[Any]]:
        """All objects of a kind of GROUPS by `namespace/name`."""
        return {item.meta.key: item for names in self._objects[kind].values() for item in names.values()}

    def find(self, key: ObjectKey) -> Object[Any] | None:
        """One object of a kind of GROUPS."""
        return self._objects[key.kind].get(key.namespace, {}).get(key.name)

    def hosts_behind(self, workload: str) -> set[str]:
        """The hosts that this pod or WorkloadEntry, as `namespace/name`, is an endpoint of: by EndpointSlices, and of
        ServiceEntries that select it."""
        sources = {ref.source for ref in self._references.get(workload, ())}
        known = self.workloads.get(workload)
        if known is not None:
            for name, entry in self._objects["ServiceEntry"].get(known.namespace, {}).items():
                selector = entry.spec.workload_selector
                if selector is not None and selector.labels and selects(selector.labels, known.labels):
                    sources.add(ServiceSource("ServiceEntry", known.namespace, name))
        return {service.host for source in sources for service in self._built.get(source, ())}

    def hosts_beside(self, workload: Workload) -> set[str]:
        """The hosts that the other pods of its Deployment, StatefulSet … are endpoints of."""
        found: set[str] = set()
        for name in self._objects["Pod"].get(workload.namespace, {}):
            other = self.workloads.get(f"{workload.namespace}/{name}")
            if other is not None and other.owner == workload.owner:
                found |= self.hosts_behind(other.key)
        return found

    def update(self, changes: Mapping[ObjectKey, Object[Any] | None]) -> None:
        """Put objects in force (None removes). Afterwards mesh, namespaces, workloads and services are up to date."""
        changes = {key: item for key, item in changes.items() if assembles(key)}
        before = {key: self._put(key, item) for key, item in changes.items()}
        of_all = any(key.kind in SITE_KINDS or is_mesh(key.kind, key.namespace, key.name) for key in changes)
        if of_all and self._update_site():
            self._rebuild(
                pods=self._places("Pod") | removed("Pod", changes),
                entries=self._places("WorkloadEntry") | removed("WorkloadEntry", changes),
                sources=self._all_sources() | dict.fromkeys(self._built),
            )
            return
        pods: Places = {(key.namespace, key.name): None for key in changes if key.kind == "Pod"}
        entries: Places = {(key.namespace, key.name): None for key in changes if key.kind == "WorkloadEntry"}
        sources: Sources = {source_of(key): None for key in changes if key.kind in ("Service", "ServiceEntry")}
        touched: dict[str, list[Mapping[str, str]]] = {}  # namespace -> labels of pods and entries before and after
        for key, after in changes.items():
            items = [item for item in (before[key], after) if item is not None]
            if key.kind == "EndpointSlice":
                sources |= {ServiceSource("Service", *slice_service(item)): None for item in items}
                pods |= {
                    place: None
                    for item in items
                    for place in map(place_of, targets_of(item))
                    if self._lacks_address(place)
                }
            elif key.kind in ("Pod", "WorkloadEntry"):
                touched.setdefault(key.namespace, []).extend(labels_of(item) for item in items)
                sources |= {ref.source: None for ref in self._references.get(f"{key.namespace}/{key.name}", ())}
        for namespace, label_sets in touched.items():
            sources |= self._selecting(namespace, label_sets)
        self._rebuild(pods, entries, sources)

    def _put(self, key: ObjectKey, item: Object[Any] | None) -> Object[Any] | None:
        kind = self._objects[key.kind]
        names = kind.get(key.namespace)
        if names is None:
            names = kind[key.namespace] = {}
        before = names.pop(key.name, None)
        if item is not None:
            names[key.name] = item
        if key.kind == "EndpointSlice":
            self._index_slice(key, before, item)
        elif key.kind == "Pod":
            self._pods_of(key.namespace).changed(key.name, before, item)
            if before is not None or self._gone:
                self._note_gone(f"{key.namespace}/{key.name}", before, item)
        return before

    def _note_gone(self, name: str, before: Object[Any] | None, after: Object[Any] | None) -> None:
        """Remember a pod that is deleted, or replaced by another of its name, until no slice names it: its address may
        soon be somebody else's. A uid never comes again."""
        uid = before.meta.uid if before is not None else ""
        if uid and name in self._references and (after is None or after.meta.uid != uid):
            self._gone[name] = uid
        if after is not None and self._gone.get(name) == after.meta.uid:  # a watch that started over has it again
            del self._gone[name]

    def _index_slice(self, key: ObjectKey, before: Object[Any] | None, after: Object[Any] | None) -> None:
        """Slices by their service, and services by the workloads that their slices name (which may be others than the
        selector selects)."""
        unnamed: set[str] = set()
        if before is not None:
            source = ServiceSource("Service", *slice_service(before))
            kept = tuple(piece for piece in self._slices.pop(source, ()) if piece is not before)
            if kept:
                self._slices[source] = kept
            for target in targets_of(before):
                rest = tuple(
                    ref
                    for ref in self._references.get(target, ())
                    if (ref.source.namespace, ref.piece) != (key.namespace, key.name)
                )
                if rest:
                    self._references[target] = rest
                else:
                    self._references.pop(target, None)
                    unnamed.add(target)
        if after is not None:
            source = ServiceSource("Service", *slice_service(after))
            self._slices[source] = (*self._slices.get(source, ()), after)
            own = (Reference(source, key.name),)
            for target in targets_of(after):
                held = self._references.get(target)
                self._references[target] = own if held is None else held + own
        for target in unnamed:
            if target not in self._references:
                self._gone.pop(target, None)

    def _lacks_address(self, place: Place) -> bool:
        """Whether it is a pod of which only the metadata is known."""
        pod = self._objects["Pod"].get(place[0], _NOTHING).get(place[1])
        return pod is not None and not pod.spec.status.pod_ip

    def _pods_of(self, namespace: str) -> PodIndex:
        index = self._pods.get(namespace)
        if index is None:
            pods = self._objects["Pod"].setdefault(namespace, {})
            index = self._pods[namespace] = PodIndex(pods)
        return index

    def _update_site(self) -> bool:
        """Read what every service depends on; True if it changed."""
        self.mesh = mesh_of(self.of_kind("MeshConfig").values(), self.of_kind("ConfigMap").get(ISTIO_MESH))
        namespaces = {
            name: Namespace(name=name, labels=item.meta.labels, annotations=item.meta.annotations)
            for name, item in self._objects["Namespace"].get("", {}).items()
        }
        if namespaces != self.namespaces:
            before = self.namespaces
            self.namespaces = {
                name: before[name] if before.get(name) == found else found for name, found in namespaces.items()
            }
        nodes = self._objects["Node"].get("", {}).values()
        distributions = {
            name: found for name, item in namespaces.items() if (found := distribution_of("", item.annotations))
        }
        labels = {name: namespace.labels for name, namespace in self.namespaces.items()}
        site = site_of(self.mesh, labels, nodes, self._cluster, remote=self._remote, distributions=distributions)
        changed = site != self.site
        self.site = site
        return changed

    def _places(self, kind: str) -> Places:
        return {(namespace, name): None for namespace, names in self._objects[kind].items() for name in names}

    def _all_sources(self) -> Sources:
        return {
            ServiceSource(kind, *place): None for kind in ("Service", "ServiceEntry") for place in self._places(kind)
        }

    def _selecting(self, namespace: str, label_sets: list[Mapping[str, str]]) -> Sources:
        """The services and entries of the namespace that may have a workload with such labels as an endpoint."""
        pairs = {pair for labels in label_sets for pair in labels.items()}
        found: Sources = {}
        for name, service in self._objects["Service"].get(namespace, {}).items():
            selector = service.spec.selector
            if selector and all(pair in pairs for pair in selector.items()):
                found[ServiceSource("Service", namespace, name)] = None
        for name, entry in self._objects["ServiceEntry"].get(namespace, {}).items():
            if entry.spec.workload_selector is not None:
                found[ServiceSource("ServiceEntry", namespace, name)] = None
        return found

    def _rebuild(self, pods: Places, entries: Places, sources: Sources) -> None:
        if pods or entries:
            self.workloads = self._rebuilt_workloads(pods, entries)
        dirty: dict[str, None] = {}
        backends: dict[str, Backends] = {}
        gone = frozenset(self._gone.values())
        for source in sources:
            if source.namespace not in backends:
                backends[source.namespace] = Backends(
                    pods=self._pods_of(source.namespace),
                    entries=self._objects["WorkloadEntry"].get(source.namespace, {}),
                    workloads=self.workloads,
                    gone=gone,
                )
            dirty |= dict.fromkeys(self._rebuild_source(source, backends[source.namespace]))
        dirty |= dict.fromkeys(self._allocate(sources))
        if dirty:
            services = dict(self.services)
            for host in dirty:
                found = self._merged(host)
                if not found:
                    services.pop(host, None)
                elif services.get(host) != found:
                    services[host] = found
            self.services = services

    def _merged(self, host: str) -> tuple[Service, ...]:
        """What all the sources of a host make of it: mostly there is one, which is about nothing else."""
        sources = self._sources.get(host, ())
        if len(sources) == 1 and sources[0].kind == "Service":
            return self._built[sources[0]]
        built = ((service, source) for source in sources for service in self._built[source] if service.host == host)
        candidates = [self._with_allocated(service, source) for service, source in built]
        return merged(sorted(candidates, key=precedence))

    def _rebuilt_workloads(self, pods: Places, entries: Places) -> Mapping[str, Workload]:
        workloads = dict(self.workloads)
        listed, site = ListedAddresses(self._slices), self.site
        pods_of, entries_of = self._objects["Pod"], self._objects["WorkloadEntry"]
        for namespace, own in chain(entries, pods):
            name = intern(f"{namespace}/{own}")
            pod = pods_of.get(namespace, _NOTHING).get(own)
            if pod is not None:
                addresses = () if pod.spec.status.pod_ip else listed.of(name, self._references.get(name, ()))
                workload = workload_of_pod(pod, site.localities, addresses)
                network = site.network_of(pod.meta.labels, workload.addresses[0] if workload.addresses else "")
                if network or site.cluster:
                    workload = msgspec.structs.replace(workload, network=network, cluster=site.cluster)
            elif (entry := entries_of.get(namespace, _NOTHING).get(own)) is not None:
                workload = workload_of_entry(entry)
            else:
                workloads.pop(name, None)
                continue
            if workloads.get(name) != workload:
                workloads[name] = workload
        return workloads

    def _allocate(self, sources: Iterable[ServiceSource]) -> set[str]:
        """Give addresses to the hosts of these sources that are to have some and, where that leads to others, to all;
        the hosts whose addresses changed."""
        entries = [source for source in sources if source.kind == "ServiceEntry"]
        if not entries:
            return set()
        applicants, held = dict(self._applicants), dict(self._held)
        for source in entries:
            services = self._built.get(source, ())
            applicants[source] = tuple(
                Applicant(service.created, service.namespace, service.host)
                for service in services
                if applies(service, self.site.allocate)
            )
            held[source] = tuple(place for service in services for place in places_held(service))
        applicants = {source: found for source, found in applicants.items() if found}
        held = {source: found for source, found in held.items() if found}
        if applicants == self._applicants and held == self._held:
            return set()
        before, self._applicants, self._held = self._allocated, applicants, held
        self._allocated = allocate(chain.from_iterable(applicants.values()), chain.from_iterable(held.values()))
        keys = before.keys() | self._allocated.keys()
        return {key[1] for key in keys if before.get(key) != self._allocated.get(key)}

    def _with_allocated(self, service: Service, source: ServiceSource) -> Service:
        if source not in self._applicants or not applies(service, self.site.allocate):
            return service
        return msgspec.structs.replace(service, allocated=self._allocated.get((service.namespace, service.host), ()))

    def _rebuild_source(self, source: ServiceSource, backends: Backends) -> set[str]:
        """Build one source's services again; the hosts that changed by it."""
        item = self._objects[source.kind].get(source.namespace, {}).get(source.name)
        before = self._built.get(source, ())
        if item is None:
            after: tuple[Service, ...] = ()
        elif source.kind == "Service":
            made = service_of(item, self._slices.get(source, ()), backends, self.site)
            after = (with_former_endpoints(made, before[0]) if before else made,)
        else:
            after = services_of(item, backends, self.site)
        kept = {service.host: service for service in before}
        after = tuple(kept[new.host] if kept.get(new.host) == new else new for new in after)
        if after:
            self._built[source] = after
        else:
            self._built.pop(source, None)
        now = {service.host: service for service in after}
        changed = {host for host in kept.keys() | now.keys() if kept.get(host) is not now.get(host)}
        for host in changed:
            others = tuple(other for other in self._sources.pop(host, ()) if other != source)
            if host in now or others:
                self._sources[host] = (*others, source) if host in now else others
        return changed


def source_of(key: ObjectKey) -> ServiceSource:
    return ServiceSource(key.kind, key.namespace, key.name)


def labels_of(item: Object[Any]) -> Mapping[str, str]:
    """A Pod's labels, or a WorkloadEntry's with those of its spec."""
    if item.kind == "WorkloadEntry":
        return {**item.spec.labels, **item.meta.labels}
    return item.meta.labels


def removed(kind: str, changes: Mapping[ObjectKey, Object[Any] | None]) -> Places:
    """The objects of a kind that are no more."""
    return {(key.namespace, key.name): None for key, item in changes.items() if key.kind == kind and item is None}
