"""What routing answers: a frozen decision, made once per rule and client view, shared by all requests that match it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from ..config.meta import Location
from ..reasons import Reason
from ..registry.snapshot import Endpoint, Protocol, Resolution


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the decision's frozen parts. Times are in seconds, as the proxy's clock counts."""


class HeaderOp(Value, frozen=True, kw_only=True):
    """Set or add one header; `formatted`: the value has %COMMAND% operators. Others that say anything have a `line`."""

    name: bytes  # lower case
    value: bytes
    formatted: bool = False
    line: bytes = b""

    def __post_init__(self) -> None:
        if self.value and not self.formatted:
            msgspec.structs.force_setattr(self, "line", self.name + b": " + self.value)


class HeaderOps(Value, frozen=True, kw_only=True):
    """One level of header changes: removed first, then set, then added (each alphabetical, as Istio emits them)."""

    remove: tuple[bytes, ...] = ()
    set: tuple[HeaderOp, ...] = ()
    add: tuple[HeaderOp, ...] = ()
    formatted: bool = False  # whether any value is


class Algorithm(StrEnum):
    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    PEAK_EWMA = "PEAK_EWMA"  # by latency and load
    RANDOM = "RANDOM"
    RING_HASH = "RING_HASH"
    MAGLEV = "MAGLEV"
    PASSTHROUGH = "PASSTHROUGH"  # dial the address that the client dialled (Envoy's ORIGINAL_DST)


class CookieAttribute(Value, frozen=True, kw_only=True):
    name: str
    value: str = ""


class HashPolicy(Value, frozen=True, kw_only=True):
    """Where a consistent hash gets its key, which is one of these. With a `cookie_ttl` (0: a session's) we make it."""

    header: bytes = b""
    cookie: bytes = b""
    cookie_path: bytes = b""
    cookie_ttl: float | None = None
    cookie_attributes: tuple[CookieAttribute, ...] = ()
    query: bytes = b""
    source_ip: bool = False


class Warmup(Value, frozen=True, kw_only=True):
    duration: float
    minimum_percent: float = 10.0
    aggression: float = 1.0


class LoadBalancer(Value, frozen=True, kw_only=True):
    algorithm: Algorithm = Algorithm.LEAST_REQUEST
    hash: HashPolicy | None = None
    ring_size: int = 1024  # RING_HASH: minimal number of points
    table_size: int = 65537  # MAGLEV
    warmup: Warmup | None = None


class Outlier(Value, frozen=True, kw_only=True):
    """Outlier detection with Istio's defaults filled in; None in a Cluster means off."""

    consecutive_5xx: int = 5
    consecutive_gateway_errors: int = 0
    split_local_origin: bool = False
    consecutive_local_origin: int = 5
    interval: float = 10.0
    base_ejection: float = 30.0
    max_ejection_percent: int = 10
    min_health_percent: int = 0
    error_codes: frozenset[int] = frozenset()  # outlierDetectionHttpErrorCodes; empty: every 5xx is an error


class Keepalive(Value, frozen=True, kw_only=True):
    probes: int = 0
    time: int = 0
    interval: int = 0


class HttpVersion(StrEnum):
    """The HTTP that a cluster's endpoints are spoken to in; CLIENT: the one that the request came in."""

    HTTP1 = "http/1.1"
    HTTP2 = "http/2"
    CLIENT = "client"


class HttpReason(StrEnum):
    """What settled the `HttpVersion` of a cluster."""

    DEFAULT = "default"
    PORT = "port_protocol"
    UNDECLARED = "undeclared_port"
    GATEWAY = "undeclared_port_at_gateway"
    RULE = "destination_rule_h2_upgrade_policy"
    MESH = "mesh_h2_upgrade_policy"
    CLIENT = "use_client_protocol"
    PASSTHROUGH = "passthrough"
    GRPC_ROUTE = "grpc_route"


UNLIMITED = 2**32 - 1


class ConnectionPool(Value, frozen=True, kw_only=True):
    """Connection pool and circuit breaker of one cluster."""

    max_connections: int = UNLIMITED
    connect_timeout: float = 10.0
    keepalive: Keepalive | None = None
    max_connection_duration: float = 0.0  # 0: none
    tcp_idle_timeout: float = 3600.0  # 0: none
    max_pending: int = UNLIMITED
    max_requests: int = UNLIMITED
    max_requests_per_connection: int = 0  # 0: unlimited
    max_retries: int = UNLIMITED
    idle_timeout: float = 3600.0
    max_concurrent_streams: int = 2**31 - 1  # of one HTTP/2 connection
    ping_interval: float = 0.0  # of HTTP/2 connections; 0: none are sent
    ping_timeout: float = 0.0


class RetryBudgetPolicy(Value, frozen=True, kw_only=True):
    """How many retries there may be. `begun`: as the Gateway API counts (GEP-3388), each retry that began within the
    interval, `min_concurrency` of them always; what is beyond is answered by 503."""

    percent: float = 20.0
    min_concurrency: int = 3
    interval: float = 0.0
    begun: bool = False


class StickySession(Value, frozen=True, kw_only=True):
    """How a client brings the endpoint of its session back: a cookie or a header. `limit` is seconds (0: none)."""

    cookie: bytes = b""
    header: bytes = b""
    path: bytes = b"/"
    limit: float = 0.0
    permanent: bool = False  # the cookie outlives the browser's session


class UpstreamTls(Value, frozen=True, kw_only=True):
    """TLS origination (DestinationRule's tls) with files and names as configured; empty strings are unset."""

    mode: str  # SIMPLE, MUTUAL
    sni: str = ""
    subject_alt_names: tuple[str, ...] = ()
    ca_certificates: str = ""
    ca_crl: str = ""
    client_certificate: str = ""
    private_key: str = ""
    credential: str = ""  # the `credential_key` of a Secret or ConfigMap
    pair: str = ""  # that of a Secret whose certificate is shown, where the authority stands apart
    insecure_skip_verify: bool = False


class Tunnel(Value, frozen=True, kw_only=True):
    """Connections to endpoints are a CONNECT, or a POST, to a proxy there that leads to `target` (`host:port`)."""

    target: bytes
    post: bool = False


class Priorities(Value, frozen=True, kw_only=True):
    """Endpoints by priority (0 is tried first), each a tuple of indices into `Cluster.endpoints`, and, where
    `distribute` applies, the weight of each locality group inside priority 0."""

    levels: tuple[tuple[int, ...], ...] = ()
    shares: tuple[tuple[int, tuple[int, ...]], ...] = ()  # (weight, indices)


class Approach(Value, frozen=True, kw_only=True):
    """How an endpoint is reached: over which TLS, behind which version of PROXY protocol's header (0: none). What was
    connected otherwise carries nothing that is sent from now on."""

    tls: UpstreamTls | None = None
    proxy_protocol: int = 0
    keepalive: Keepalive | None = None


class Cluster(Value, frozen=True, kw_only=True):
    """The concrete stage: one balanced group of endpoints (host, port, subset) with every policy resolved.

    `name` is Istio's (`outbound|9080|v2|reviews.default.svc.cluster.local`). State (connections, outliers, counts) is
    kept per `key`, which differs from `name` only where clients see different policies for the same group."""

    name: str
    key: str
    host: str
    port: int
    subset: str = ""
    service: str = ""  # the service's bare name and namespace, as metrics label them
    namespace: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    reserve: tuple[Endpoint, ...] | None = None  # serve as long as none of these does; None: nothing does
    resolution: Resolution = Resolution.STATIC
    protocol: Protocol = Protocol.HTTP
    upstream_http: HttpVersion = HttpVersion.HTTP1
    http_reason: HttpReason = HttpReason.DEFAULT
    load_balancer: LoadBalancer = LoadBalancer()
    priorities: Priorities | None = None
    pool: ConnectionPool = ConnectionPool()
    retry_budget: RetryBudgetPolicy | None = None
    session: StickySession | None = None  # of the routes to it that have none of their own
    outlier: Outlier | None = None
    tls: UpstreamTls | None = None
    tunnel: Tunnel | None = None  # of connections without HTTP
    proxy_protocol: int = 0  # the version that connections to endpoints begin with; 0: none
    external: bool = False

    def approach(self, endpoint: Endpoint) -> Approach:
        """How this endpoint is reached: today as all of the cluster's are."""
        return Approach(tls=self.tls, proxy_protocol=self.proxy_protocol, keepalive=self.pool.keepalive)

    @property
    def all_endpoints(self) -> tuple[Endpoint, ...]:
        """Those in reserve among them."""
        return self.endpoints + (self.reserve or ())


class WeightedCluster(Value, frozen=True, kw_only=True):
    """One weighted target. `cluster` is None where host or subset is unknown (503, flag NC); `cluster_name` is kept."""

    cluster: Cluster | None
    cluster_name: str
    weight: int = 100
    request_headers: HeaderOps | None = None
    response_headers: HeaderOps | None = None
    authority: bytes = b""  # a Host written by the destination's own header operations
    rewrite: Rewrite | None = None  # in place of the route's
    mirrors: tuple[Mirror, ...] = ()  # beside the route's
    instead: Decision | None = None  # a Redirect or Failure that answers for this share


class Rewrite(Value, frozen=True, kw_only=True):
    """Change of path and authority. `prefix` is the matched prefix's length (-1: the whole path is replaced)."""

    uri: bytes | None = None
    prefix: int = -1
    substitute: Callable[[bytes], bytes] | None = None  # uriRegexRewrite, compiled
    authority: bytes = b""


class Retry(Value, frozen=True, kw_only=True):
    """Retry policy, with Istio's default list where none was given. `attempts` counts retries, not the first try."""

    attempts: int = 2
    per_try_timeout: float = 0.0  # 0: none
    on: frozenset[str] = frozenset()
    status_codes: frozenset[int] = frozenset()
    header_names: frozenset[bytes] = frozenset()  # of responses that `retriable-headers` means
    backoff_base: float = 0.025
    backoff_max: float = 0.25
    backoff_min: float = 0.0
    ignore_previous_hosts: bool = True
    remote_localities: bool = False


class Fault(Value, frozen=True, kw_only=True):
    """Percentages are 0 to 100. `abort_grpc` is a gRPC status number (-1: none)."""

    delay: float = 0.0
    delay_percent: float = 0.0
    abort_status: int = 0
    abort_grpc: int = -1
    abort_percent: float = 0.0


class Mirror(Value, frozen=True, kw_only=True):
    cluster: Cluster | None
    cluster_name: str
    percent: float = 100.0


class Cors(Value, frozen=True, kw_only=True):
    allow_origin: Callable[[bytes], bool]
    methods: bytes = b""
    headers: bytes = b""
    expose: bytes = b""
    max_age: bytes = b""
    credentials: bool = False
    forward_unmatched: bool = True


class Owner(Value, frozen=True, kw_only=True):
    """The object that a rule stands in: a VirtualService or a route of the Gateway API, and its place."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    location: Location = Location()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}" if self.kind else ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Rule(Value, frozen=True, kw_only=True):
    """Where a decision was written: its owner (without a kind where nobody wrote it), the rule's path in that, and its
    place."""

    owner: Owner = Owner()
    path: str = ""
    location: Location = Location()

    def __str__(self) -> str:
        """`VirtualService bookinfo/reviews spec.http[0] (mesh.yaml:12:5)`, empty where nobody wrote it."""
        if not self.owner.kind:
            return ""
        place = str(self.location)
        return " ".join(part for part in (str(self.owner), self.path, f"({place})" if place else "") if part)


class Decision(Value, frozen=True, kw_only=True):
    """Base of what can become of a request or connection."""

    name: str = ""  # the route's name, as the access log shows it
    rule: Rule = Rule()
    reason: Reason = Reason.NONE
    request_headers: HeaderOps | None = None
    response_headers: HeaderOps | None = None
    fault: Fault | None = None
    cors: Cors | None = None


class ExternalAuth(Value, frozen=True, kw_only=True):
    """Another service says whether a request may pass (GEP-1494). `headers` are what it gets of the request's fields,
    `body` how many bytes of its body; `response_headers` what the request gets of the answer's (none named: all)."""

    cluster: Cluster | None = None
    cluster_name: str
    grpc: bool = False
    authority: bytes = b""  # that a service over gRPC is called by
    path: bytes = b""  # before the request's own
    headers: tuple[bytes, ...] = ()
    response_headers: tuple[bytes, ...] = ()
    body: int = 0


class Route(Decision, frozen=True, kw_only=True):
    """Forward to one of `destinations`, drawn by weight."""

    destinations: tuple[WeightedCluster, ...]
    total_weight: int
    rewrite: Rewrite | None = None
    timeout: float = 0.0  # 0: none
    retry: Retry | None = None
    mirrors: tuple[Mirror, ...] = ()
    session: StickySession | None = None
    auth: ExternalAuth | None = None


class Redirect(Decision, frozen=True, kw_only=True):
    status: int = 301
    scheme: bytes = b""
    authority: bytes = b""
    port: int = 0  # 0: none given
    from_request_port: bool = False
    uri: bytes | None = None
    prefix: int = -1  # >= 0: replace only the matched prefix's length (prefixRewrite)
    substitute: Callable[[bytes], bytes] | None = None  # of the path, in place of `uri`
    listener_port: bool = False  # without a port it is the scheme's, else the listener's; the Host's own never counts


class DirectResponse(Decision, frozen=True, kw_only=True):
    status: int = 200
    body: bytes = b""


class Failure(Decision, frozen=True, kw_only=True):
    """A local answer for want of a route: its `reason` says which (404 NR, 502 blackhole, …). For connections without
    HTTP it means close."""

    status: int = 404
