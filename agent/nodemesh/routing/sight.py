"""What one client's decisions are made from."""

from __future__ import annotations

from .client import Client
from .lookup import Lookup, services_under
from .routes import Clusters, RouteBuilder
from .scope import Scope
from .tables import Tables


class Sight:
    """The tables, the client that looks at them and what its Sidecar lets it see. `clusters` are those of its decisions
    so far: equal ones stay the same object."""

    __slots__ = ("_under", "client", "clusters", "scope", "tables")

    def __init__(self, tables: Tables, client: Client, scope: Scope, clusters: Clusters) -> None:
        self.tables = tables
        self.client = client
        self.scope = scope
        self.clusters = clusters
        self._under = services_under()

    def lookup(self) -> Lookup:
        """Finds things, with a fresh record of what it reads."""
        return Lookup(self.tables, self.client, self.scope, under=self._under)

    def builder(self) -> RouteBuilder:
        """Makes decisions, with a fresh record too."""
        return RouteBuilder(self.lookup(), self.clusters)
