"""Decisions for connections without HTTP: TCP rules, and TLS rules by the server name of the ClientHello."""

from __future__ import annotations

from ..config.virtualservice import L4MatchAttributes, TLSMatchAttributes
from ..reasons import Reason
from ..registry.snapshot import TLS_PROTOCOLS, Protocol, Service
from .decision import Failure, Route, Rule
from .gatewayapi.rows import connection_row
from .lookup import Lookup
from .memo import TablesMemo, ValuePool
from .names import specificity
from .routes import RouteBuilder
from .sight import Sight
from .streams import ConnectionRow, ConnectionRules
from .tables import TcpRule, TlsRule, VirtualService


class ServiceConnections:
    """The rules for each service port that one client can dial, kept while what they were made from lasts."""

    __slots__ = ("_memo", "_sight")

    def __init__(
        self,
        sight: Sight,
        pool: ValuePool[tuple[str, int], ConnectionRules],
        previous: ServiceConnections | None = None,
    ) -> None:
        self._sight = sight
        self._memo: TablesMemo[tuple[str, int], ConnectionRules] = TablesMemo(
            sight.tables, previous._memo if previous is not None else None, pool
        )

    def rules(self, service: Service, port: int, lookup: Lookup) -> ConnectionRules:
        """What was read goes down in `lookup` too."""
        key = (service.host, port)
        known = self._memo.get(key)
        if known is None:
            builder = self._sight.builder()
            rules = routed(builder, service, port) or connection_rules(builder, service, port)
            known = rules, builder.lookup.reads
            self._memo.keep(key, *known)
        lookup.reads.extend(known[1])
        return known[0]


def routed(builder: RouteBuilder, service: Service, port: int) -> ConnectionRules | None:
    """The Gateway API's routes for connections; None where the port has none. What no TLSRoute takes is refused; of
    several TCPRoutes the oldest counts."""
    lookup = builder.lookup
    places = [place for place in lookup.mesh_routes(service, port) if place.kind in ("TLSRoute", "TCPRoute")]
    if not places:
        return None
    routes = sorted(((place, lookup.route(place.key)) for place in places), key=lambda entry: entry[1].age)
    named = [(host, route) for place, route in routes if place.kind == "TLSRoute" for host in route.hostnames]
    named.sort(key=lambda entry: -specificity(entry[0]))
    plain = [route for place, route in routes if place.kind == "TCPRoute"]
    return ConnectionRules(
        tuple(connection_row(builder, route, (host,)) for host, route in named),
        tuple(connection_row(builder, route, ()) for route in plain[:1]),
        Failure(rule=Rule(owner=routes[0][1].owner), reason=Reason.ROUTE_NOT_FOUND, status=404),
    )


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
