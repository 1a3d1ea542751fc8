"""The views of all clients: of one version of the tables, with what the version before hands on."""

from __future__ import annotations

from collections.abc import Mapping

from ..registry.snapshot import Locality
from .client import Client
from .index import EndpointIndex
from .listing import ReadSets, TableChanges
from .rollouts import Cohort, cohort_of, variant
from .tables import Tables
from .view import Pools, View

#: How many different sets of reads are held for each host of the registry before they are forgotten.
SETS_PER_HOST = 8

#: All that rules may look at in a client.
ClientKey = tuple[str, tuple[tuple[str, str], ...], Locality, str, str, bool, Cohort]


class Views:
    """The views of one version of the tables; those of the version before hand on what still holds."""

    def __init__(self, tables: Tables, previous: Views | None = None) -> None:
        self.tables = tables
        self.version = tables.version
        self._index: EndpointIndex = previous._index if previous is not None else EndpointIndex()
        # Shared with the views before, which look up services of their own tables.
        self._index.update(tables.services, tables.network)
        self._read_sets: ReadSets = previous._read_sets if previous is not None else ReadSets()
        self._read_sets.trim(SETS_PER_HOST * len(tables.services))
        self._variants: dict[Cohort, tuple[Tables, TableChanges]] = {(): (tables, TableChanges(tables))}
        self._pools: Pools = previous._pools if previous is not None else Pools()
        self._resolved: dict[str, tuple[str, ...]] = previous._resolved if previous is not None else {}
        self._views: dict[ClientKey, View] = {}
        self._before: dict[ClientKey, View] = dict(previous._views) if previous is not None else {}

    def set_resolved(self, addresses: Mapping[str, tuple[str, ...]]) -> None:
        """The addresses that hosts have in the DNS, by host, for those without addresses of their own."""
        hosts: dict[str, list[str]] = {}
        for host, found in addresses.items():
            for address in found:
                hosts.setdefault(address, []).append(host)
        self._resolved.clear()
        self._resolved.update((address, tuple(of_address)) for address, of_address in hosts.items())
        for view in self._views.values():
            view.forget_addresses()

    def for_client(self, client: Client, like: View | None = None) -> View:
        """The view of a client; clients that no rule tells apart share one. `like` is its view of other tables: what
        is the same in both becomes the same objects."""
        labels = {key: value for key, value in client.labels.items() if key in self.tables.client_labels}
        if client.gateway:
            labels = dict(client.labels)
        node = client.node if self.tables.client_nodes else ""
        cohort = cohort_of(self.tables.rollouts, client) if self.tables.rollouts else ()
        key = (
            client.namespace,
            tuple(sorted(labels.items())),
            client.locality,
            node,
            client.network,
            client.gateway,
            cohort,
        )
        view = self._views.get(key)
        if view is None:
            previous = self._before.pop(key, like)
            tables, changes = self._variant(cohort)
            view = View(
                tables,
                client,
                self._index,
                self._read_sets,
                changes,
                self._resolved,
                self._pools,
                previous,
            )
            self._views[key] = view
        return view

    def _variant(self, cohort: Cohort) -> tuple[Tables, TableChanges]:
        """The tables as these canaries see them."""
        found = self._variants.get(cohort)
        if found is None:
            tables = variant(self.tables, cohort)
            found = self._variants[cohort] = tables, TableChanges(tables)
        return found
