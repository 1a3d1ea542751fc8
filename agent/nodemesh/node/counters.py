"""The counters that the node's workers share, so that limits and ejections count for the node, not for one worker."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator

from ..balance.shared import Ledger, size_of
from ..proxy.messages import SetCounters
from ..routing.client import Client
from ..routing.decision import Cluster
from ..routing.view import View, Views
from .logs import Log

log = Log("control")

#: Clusters and endpoints that have a place; what finds none is counted by each worker for itself.
CAPACITY = 16 * 1024


def policed_clusters(view: View) -> Iterator[Cluster]:
    """The clusters with a policy of a DestinationRule, in which loads, limits and ejections matter."""
    builder = view.builder()
    lookup = builder.lookup
    for host in view.tables.services:
        service = lookup.imported_service(host)
        rule = lookup.destination_rule(service) if service is not None else None
        if service is None or rule is None:
            continue
        for port in service.ports:
            for subset in ("", *(subset.name or "" for subset in rule.subsets)):
                cluster = builder.cluster(service, port.number, subset)
                if cluster is not None:
                    yield cluster


class SharedCounters:
    """The memory, and who has a place in it. A new control process makes a new one: what is in flight meanwhile is
    counted by the old one's columns until it ends."""

    def __init__(self, workers: int) -> None:
        size = size_of(workers, CAPACITY)
        self.fd = os.memfd_create("nodemesh-counters", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self._ledger = Ledger(memoryview(mmap.mmap(self.fd, size)), workers, CAPACITY)
        self._without = 0

    def assign(self, views: Views, clients: Iterable[Client]) -> None:
        """Give places to all that these clients may use; called before the tables that name it are sent."""
        seen = {id(view): view for view in map(views.for_client, clients)}
        without = self._ledger.assign(cluster for view in seen.values() for cluster in policed_clusters(view))
        if without and not self._without:
            log.warning("counters are full, some are kept by each worker for itself", without=without)
        self._without = without

    def forget(self, worker: int) -> None:
        """A worker died: what it had in flight died with it."""
        self._ledger.forget(worker)

    def message(self) -> tuple[SetCounters, tuple[int]]:
        """What a worker is told."""
        return SetCounters(), (self.fd,)
