"""Rows for connections without HTTP: by the dialled address, and by the server name of the ClientHello."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from .decision import Decision, Rule
from .names import covers, specificity


class ConnectionRow:
    """One way into a rule. `names` are the server names it takes; empty: any, also none at all."""

    __slots__ = ("decision", "entry", "names", "rule", "subnets")

    def __init__(
        self, names: tuple[str, ...], subnets: tuple[str, ...], decision: Decision, rule: Rule, entry: int
    ) -> None:
        self.names = names
        self.subnets = tuple(ip_network(subnet, strict=False) for subnet in subnets)
        self.decision = decision
        self.rule = rule
        self.entry = entry

    def matches(self, name: str, address: str) -> bool:
        if self.names and not any(covers(pattern, name) for pattern in self.names):
            return False
        return not self.subnets or self.in_subnets(address)

    def in_subnets(self, address: str) -> bool:
        return self.nearness(address) >= 0

    def nearness(self, address: str) -> int:
        """The length of the longest prefix of the row's subnets that holds the address; -1: none does."""
        try:
            dialled = ip_address(address)
        except ValueError:
            return -1
        return max(
            (subnet.prefixlen for subnet in self.subnets if subnet.version == dialled.version and dialled in subnet),
            default=-1,
        )

    def rank(self, name: str, address: str) -> tuple[int, int]:
        """How exactly it matches, as Envoy weighs filter chains: by the address, then by the server name."""
        return self.nearness(address), max(
            (specificity(pattern) for pattern in self.names if covers(pattern, name)), default=0
        )


def best(rows: Iterable[ConnectionRow], name: str, address: str) -> ConnectionRow | None:
    """The row that matches most exactly; of equals the first."""
    matching = [row for row in rows if row.matches(name, address)]
    return max(matching, key=lambda row: row.rank(name, address), default=None)


class ConnectionRules:
    """The rules for one service port: TLS rows count where a server name was sent, TCP rows for every connection.
    `unnamed` is the answer for server names that no TLS row has."""

    __slots__ = ("otherwise", "tcp_rows", "tls_rows", "unnamed")

    def __init__(
        self,
        tls_rows: tuple[ConnectionRow, ...],
        tcp_rows: tuple[ConnectionRow, ...],
        otherwise: Decision,
        unnamed: Decision | None = None,
    ) -> None:
        self.tls_rows = tls_rows
        self.tcp_rows = tcp_rows
        self.otherwise = otherwise
        self.unnamed = unnamed

    def __eq__(self, other: object) -> bool:
        """Rows are each their own: what has any is equal to itself only."""
        if not isinstance(other, ConnectionRules):
            return False
        return (self.tls_rows, self.tcp_rows, self.otherwise, self.unnamed) == (
            other.tls_rows,
            other.tcp_rows,
            other.otherwise,
            other.unnamed,
        )

    def __hash__(self) -> int:
        return id(self)

    def tls(self, name: str, address: str) -> Decision:
        row = best(self.tls_rows, name, address)
        return row.decision if row is not None else self.tcp(address)

    def tcp(self, address: str) -> Decision:
        row = best(self.tcp_rows, "", address)
        if row is not None:
            return row.decision
        return self.otherwise if self.unnamed is None else self.unnamed
