"""What the tables carry of the Gateway API: routes with their backends resolved, and who listens for what."""

from __future__ import annotations

import msgspec

from ...config.gateway import ServerTLSSettings
from ...config.gatewayapi.routes import HTTPRouteRule
from ..decision import Owner, RetryBudgetPolicy, Rule, StickySession, UpstreamTls


class RoutePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of these frozen parts; all of them travel as msgpack."""


class RouteBackend(RoutePart, frozen=True, kw_only=True):
    """A backend as far as all clients see the same. `fault` is why it cannot take its share (the condition's reason),
    and then it has no host. `mirrors` belong to the backend's own filters, in their order."""

    host: str = ""
    port: int = 0
    weight: int = 1
    fault: str = ""
    mirrors: tuple[RouteBackend, ...] = ()


class RouteRule(RoutePart, frozen=True, kw_only=True):
    """One rule. `spec` has matches and filters as an HTTPRoute writes them (a GRPCRoute's are brought into that form);
    `backends` stand for its backendRefs, `mirrors` for its mirror filters, `auth` for its ExternalAuth. `fault` is why
    all its requests fail."""

    rule: Rule
    spec: HTTPRouteRule
    backends: tuple[RouteBackend, ...] = ()
    mirrors: tuple[RouteBackend, ...] = ()
    auth: RouteBackend | None = None
    fault: str = ""


class ResolvedRoute(RoutePart, frozen=True, kw_only=True):
    """A route of any kind; one for connections has rules of which the backends count alone."""

    owner: Owner
    created: float = 0.0
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()

    @property
    def age(self) -> tuple[float, str]:
        """The older comes first, then the name."""
        return self.created, self.owner.key


class MeshRoute(RoutePart, frozen=True, kw_only=True):
    """A route on a Service: its key among the routes, and the port (0: every)."""

    key: str
    kind: str
    namespace: str
    port: int = 0


class ListenerRoute(RoutePart, frozen=True, kw_only=True):
    """A route on a listener: its key among the routes, and the hosts for which it answers there (empty: any)."""

    key: str
    kind: str
    hosts: tuple[str, ...] = ("",)


class BackendTls(RoutePart, frozen=True, kw_only=True):
    """How a Service, or one port of it by its name, is spoken to in TLS."""

    owner: Owner
    tls: UpstreamTls
    section: str = ""


class BackendTraffic(RoutePart, frozen=True, kw_only=True):
    """How many retries a Service gets, and how its clients keep their endpoints."""

    owner: Owner
    retry_budget: RetryBudgetPolicy | None = None
    session: StickySession | None = None


class ServedListener(RoutePart, frozen=True, kw_only=True):
    """A listener that is served. `gateway` is `namespace/name`; `owner` the Gateway or ListenerSet that it stands in.
    `client_pair` is the `credential_key` of the certificate that is shown to backends."""

    gateway: str
    owner: Owner
    name: str
    port: int
    protocol: str
    hostname: str = ""
    tls: ServerTLSSettings | None = None
    client_pair: str = ""
    routes: tuple[ListenerRoute, ...] = ()
