"""The servers of a gateway's port by the names that they are for."""

from __future__ import annotations

from .names import specificity
from .servername import parse
from .wildcards import Wildcards


class Positions:
    """The places of servers among all of the gateway's, by their hosts."""

    __slots__ = ("_by_host", "_wildcards")

    def __init__(self, by_host: dict[str, int]) -> None:
        self._by_host = by_host
        self._wildcards = Wildcards(by_host)

    def best(self, name: str) -> tuple[int, int]:
        """The place of the most specific host that covers a name, behind how specific it is; (0, -1): there is none."""
        host = name if name in self._by_host else next(self._wildcards.covering(name), None)
        return (specificity(host), self._by_host[host]) if host is not None else (0, -1)


class PortNames:
    """A gateway may have thousands of servers on a port, and clients ask for what names they like: none is walked."""

    __slots__ = ("_clusters", "_hosts", "_only")

    def __init__(self, hosts: dict[str, int], clusters: dict[str, int], only: int) -> None:
        """By their hosts: `clusters` are those of servers whose names name clusters. `only` is the place of a server
        that takes every connection, -1: there is none."""
        self._hosts = Positions(hosts)
        self._clusters = Positions(clusters)
        self._only = only

    def position(self, name: str) -> int:
        """The place of the server that answers for a name; -1: none does."""
        if self._only >= 0:
            return self._only
        named = parse(name)
        found = self._hosts.best(name)
        return max(found, self._clusters.best(named.host))[1] if named is not None else found[1]
