"""Rows for connections without HTTP: by the dialled address, and by the server name of the ClientHello."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from .decision import Decision, Rule
from .names import covers


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
        try:
            dialled = ip_address(address)
        except ValueError:
            return False
        return any(dialled in subnet for subnet in self.subnets if subnet.version == dialled.version)


class ConnectionRules:
    """The rules for one service port: TLS rows count where a server name was sent, TCP rows for every connection."""

    __slots__ = ("otherwise", "tcp_rows", "tls_rows")

    def __init__(
        self, tls_rows: tuple[ConnectionRow, ...], tcp_rows: tuple[ConnectionRow, ...], otherwise: Decision
    ) -> None:
        self.tls_rows = tls_rows
        self.tcp_rows = tcp_rows
        self.otherwise = otherwise

    def __eq__(self, other: object) -> bool:
        """Rows are each their own: what has any is equal to itself only."""
        if not isinstance(other, ConnectionRules):
            return False
        return (self.tls_rows, self.tcp_rows, self.otherwise) == (other.tls_rows, other.tcp_rows, other.otherwise)

    def __hash__(self) -> int:
        return id(self)

    def tls(self, name: str, address: str) -> Decision:
        for row in self.tls_rows:
            if row.matches(name, address):
                return row.decision
        return self.tcp(address)

    def tcp(self, address: str) -> Decision:
        for row in self.tcp_rows:
            if row.matches("", address):
                return row.decision
        return self.otherwise
