"""Decisions for connections without HTTP: TCP rules, and TLS rules by the server name of the ClientHello."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from ..config.virtualservice import L4MatchAttributes, TLSMatchAttributes
from ..registry.snapshot import TLS_PROTOCOLS, Protocol, Service
from .decision import Decision, Route, Rule
from .lookup import Lookup
from .memo import Memo, Pool
from .names import covers, specificity
from .routes import RouteBuilder
from .sight import Sight
from .tables import TcpRule, TlsRule, VirtualService


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


class ServiceConnections:
    """The rules for each service port that one client can dial, kept while what they were made from lasts."""

    __slots__ = ("_memo", "_sight")

    def __init__(
        self, sight: Sight, pool: Pool[tuple[str, int], ConnectionRules], previous: ServiceConnections | None = None
    ) -> None:
        self._sight = sight
        self._memo: Memo[tuple[str, int], ConnectionRules] = Memo(
            sight.tables, previous._memo if previous is not None else None, pool
        )

    def rules(self, service: Service, port: int, lookup: Lookup) -> ConnectionRules:
        """What was read goes down in `lookup` too."""
        key = (service.host, port)
        known = self._memo.get(key)
        if known is None:
            builder = self._sight.builder()
            rules = connection_rules(builder, service, port)
            known = rules, builder.lookup.reads
            self._memo.keep(key, *known)
        lookup.reads.extend(known[1])
        return known[0]


def connection_rules(builder: RouteBuilder, service: Service, port: int) -> ConnectionRules:
    """The rules of all VirtualServices that share a name with the service. TLS rules are for ports of TLS, where names
    that none of them has are unknown destinations; elsewhere the service itself takes what no TCP rule does (Istio's
    buildSidecarOutboundTLSFilterChainOpts and buildSidecarOutboundTCPFilterChainOpts)."""
    spec = service.port(port)
    protocol = spec.protocol if spec is not None else Protocol.AUTO
    tls_rows: list[ConnectionRow] = []
    tcp_rows: list[ConnectionRow] = []
    lookup = builder.lookup
    for key in lookup.connection_keys(service.host):
        virtual_service = lookup.tables.virtual_services[key]
        if protocol in TLS_PROTOCOLS or protocol is Protocol.AUTO:
            for tls_rule in virtual_service.tls:
                tls_rows += rows_of(builder, virtual_service, tls_rule, port)
        if protocol not in TLS_PROTOCOLS:
            for tcp_rule in virtual_service.tcp:
                if not any(not row.subnets for row in tcp_rows):  # such a row takes everything
                    tcp_rows += rows_of(builder, virtual_service, tcp_rule, port)
    default = builder.service_route(service, port)
    unnamed = builder.unknown_destination() if tls_rows and protocol in TLS_PROTOCOLS else None
    return ConnectionRules(tuple(tls_rows), tuple(tcp_rows), default, unnamed)


def rows_of(
    builder: RouteBuilder, virtual_service: VirtualService, rule: TlsRule | TcpRule, port: int
) -> list[ConnectionRow]:
    route: Route | None = builder.connection_route(rule, port)
    if route is None:
        return []
    lookup = builder.lookup
    bound = any(name in lookup.gateways for name in virtual_service.gateways)
    if not rule.route.match:
        return [ConnectionRow((), (), route, rule.rule, -1)] if bound else []
    rows = []
    matches: tuple[TLSMatchAttributes | L4MatchAttributes, ...] = (*rule.route.match,)
    for index, match in enumerate(matches):
        if connection_applies(match, bound, lookup, port):
            names = match.sni_hosts if isinstance(match, TLSMatchAttributes) else ()
            lowered = tuple(name.lower() for name in names)
            rows.append(ConnectionRow(lowered, match.destination_subnets, route, rule.rule, index))
    return rows


def connection_applies(match: TLSMatchAttributes | L4MatchAttributes, bound: bool, lookup: Lookup, port: int) -> bool:
    """For connections all of port, gateways, sourceLabels and sourceNamespace must hold."""
    if match.port and match.port != port:
        return False
    if not (any(name in lookup.gateways for name in match.gateways) if match.gateways else bound):
        return False
    client = lookup.client
    if match.source_namespace and match.source_namespace != client.namespace:
        return False
    return all(client.labels.get(key) == value for key, value in match.source_labels.items())
