"""The counters that the node's workers share, so that limits and ejections count for the node, not for one worker."""

from __future__ import annotations

import mmap
import operator
import os
from collections.abc import Iterable, Iterator, Set
from typing import NamedTuple

from ..balance.rows import ACTIVE, CONNECTIONS, EJECTED_AT, PENDING, REQUESTS, UNEJECTED_AT
from ..balance.shared import Ledger, cluster_key, host_key, size_of
from ..proxy.messages import SetCounters
from ..registry.snapshot import Endpoint
from ..routing.client import Client
from ..routing.decision import Cluster
from ..routing.lookup import Read, still_holds
from ..routing.tables import Tables
from ..routing.view import View
from ..routing.views import Views
from .logs import Log

log = Log("control")

#: Clusters and endpoints that have a place; what finds none is counted by each worker for itself.
CAPACITY = 16 * 1024


NONE: frozenset[str] = frozenset()


class Policed(NamedTuple):
    """The clusters of one host that have a policy, and what of the tables they were made from."""

    reads: list[Read]
    clusters: tuple[Cluster, ...]
    called: bool  # by GRPCRoutes, whose clusters have keys of their own


class EndpointState(NamedTuple):
    """One endpoint's requests in flight, and when it was ejected, in seconds of the monotonic clock; 0: it is in."""

    in_flight: int = 0
    ejected_at: float = 0.0


class ClusterState(NamedTuple):
    """What a cluster has in flight; `endpoints` as the cluster has them."""

    connections: int
    requests: int
    pending: int
    endpoints: tuple[EndpointState, ...]


class PolicedClusters:
    """The clusters with a policy, of a DestinationRule or an XBackendTrafficPolicy, in which loads, limits and
    ejections matter, for one client. Of a big mesh little changes at a time: what still holds of the tables before is
    not made again."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._made: dict[str, Policed] = {}
        self._basis: tuple[object, ...] = ()

    def of(self, view: View, called: Set[str] = NONE) -> Iterator[Cluster]:
        """`view` is this client's; `called` are `hosts_called`."""
        tables = view.tables
        basis = (tables.mesh, tables.sidecars)
        same = len(self._basis) == len(basis) and all(map(operator.is_, self._basis, basis))
        before, self._basis, self._made = self._made if same else {}, basis, {}
        for host in hosts_with_rules(tables):
            policed = before.get(host)
            if policed is None or policed.called != (host in called) or not still_holds(policed.reads, tables):
                policed = policed_by(view, host, called=host in called)
            self._made[host] = policed
            yield from policed.clusters


def hosts_with_rules(tables: Tables) -> Iterable[str]:
    """The services that a DestinationRule or an XBackendTrafficPolicy may be about."""
    if tables.wildcard_destination_rules:
        return tables.services
    return (tables.destination_rules.keys() | tables.backend_traffic.keys()) & tables.services.keys()


def hosts_called(tables: Tables) -> set[str]:
    """The services that GRPCRoutes lead to."""
    return {
        backend.host
        for route in tables.routes.values()
        if route.owner.kind == "GRPCRoute"
        for rule in route.rules
        for backend in (*rule.backends, *rule.mirrors)
    }


def policed_by(view: View, host: str, *, called: bool = False) -> Policed:
    """A Gateway's workload may show its own certificate: what it uses are clusters of its listeners."""
    builder = view.listeners.any_builder() or view.builder()
    lookup = builder.lookup
    service = lookup.imported_service(host)
    rule = lookup.destination_rule(service) if service is not None else None
    clusters: list[Cluster] = []
    if service is not None and (lookup.backend_traffic(service) is not None or rule is not None):
        subsets = ("", *(subset.name or "" for subset in rule.subsets)) if rule is not None else ("",)
        for port in service.ports:
            for subset in subsets:
                made = [builder.cluster(service, port.number, subset, grpc=grpc) for grpc in {False, called}]
                clusters += {cluster.key: cluster for cluster in made if cluster is not None}.values()
    return Policed(lookup.reads, tuple(clusters), called)


class SharedCounters:
    """The memory, and who has a place in it. A new control process makes a new one: what is in flight meanwhile is
    counted by the old one's columns until it ends."""

    def __init__(self, workers: int) -> None:
        size = size_of(workers, CAPACITY)
        self.fd = os.memfd_create("nodemesh-counters", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self._ledger = Ledger(memoryview(mmap.mmap(self.fd, size)), workers, CAPACITY)
        self._policed: dict[tuple[str, str], PolicedClusters] = {}  # by one client of each view
        self._without = 0

    def assign(self, views: Views, clients: Iterable[Client]) -> None:
        """Give places to all that these clients may use; called before the tables that name it are sent."""
        seen = {id(view): (client, view) for client, view in ((client, views.for_client(client)) for client in clients)}
        before, self._policed = self._policed, {}
        for client, _ in seen.values():
            known = before.get((client.namespace, client.name))
            if known is None or known.client != client:
                known = PolicedClusters(client)
            self._policed[client.namespace, client.name] = known
        called = hosts_called(views.tables)
        without = self._ledger.assign(
            cluster
            for client, view in seen.values()
            for cluster in self._policed[client.namespace, client.name].of(view, called)
        )
        if without and not self._without:
            log.warning("counters are full, some are kept by each worker for itself", without=without)
        self._without = without

    def states(self) -> Iterator[tuple[Cluster, ClusterState]]:
        """What the clusters that have a place are doing, each with the states of its endpoints."""
        for cluster, _ in self._ledger.known.values():
            row = self._ledger.row_of(cluster_key(cluster.key))
            if row is not None:
                yield (
                    cluster,
                    ClusterState(
                        connections=row.total(CONNECTIONS),
                        requests=row.total(REQUESTS),
                        pending=row.total(PENDING),
                        endpoints=tuple(self._endpoint(cluster, endpoint) for endpoint in cluster.endpoints),
                    ),
                )

    def _endpoint(self, cluster: Cluster, endpoint: Endpoint) -> EndpointState:
        row = self._ledger.row_of(host_key(cluster.key, endpoint.address, endpoint.port))
        if row is None:
            return EndpointState()
        ejected = max(row.values(EJECTED_AT)) if max(row.values(EJECTED_AT)) > max(row.values(UNEJECTED_AT)) else 0
        return EndpointState(in_flight=row.total(ACTIVE), ejected_at=ejected / 1e6)

    def forget(self, worker: int) -> None:
        """A worker died: what it had in flight died with it."""
        self._ledger.forget(worker)

    def message(self) -> tuple[SetCounters, tuple[int]]:
        """What a worker is told."""
        return SetCounters(), (self.fd,)
