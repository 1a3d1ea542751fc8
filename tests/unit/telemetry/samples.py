"""Records as the proxy would give them."""

from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Endpoint
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Cluster
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.record import ConnectionRecord, RequestRecord

CLIENT = Client(
    namespace="default", name="productpage-v1-7d5c-abcde", labels={"app": "productpage", "pod-template-hash": "7d5c"}
)
REVIEWS = Cluster(
    name="outbound|9080|v2|reviews.default.svc.cluster.local",
    key="outbound|9080|v2|reviews.default.svc.cluster.local",
    host="reviews.default.svc.cluster.local",
    port=9080,
    service="reviews",
    namespace="default",
    endpoints=(
        Endpoint(
            address="10.0.0.7",
            port=9080,
            labels={"app": "reviews", "version": "v2", "pod-template-hash": "545d"},
            workload="default/reviews-v2-545d-x1",
        ),
    ),
)


def request(
    client: Client = CLIENT,
    cluster: Cluster | None = REVIEWS,
    status: int = 200,
    reasons: tuple[Reason, ...] = (),
    authority: bytes = b"reviews:9080",
) -> RequestRecord:
    record = RequestRecord(client)
    record.cluster = cluster
    record.started = 1_700_000_000.25
    record.method = b"GET"
    record.path = b"/reviews/1?full=1"
    record.authority = authority
    record.status = status
    record.reasons = reasons
    record.bytes_sent = 120
    record.duration = 0.0125
    record.upstream_time = 0.012
    record.attempts = 1
    record.user_agent = b"curl/8"
    record.request_id = b"4f6b"
    record.upstream_host = "10.0.0.7:9080" if cluster is REVIEWS else ""
    record.upstream_local = "10.0.0.1:40000"
    record.downstream_local = "10.96.0.5:9080"
    record.downstream_remote = "10.0.0.1:39999"
    record.route_name = "default"
    return record


def connection(sent: int, received: int) -> ConnectionRecord:
    record = ConnectionRecord(CLIENT)
    record.cluster = REVIEWS
    record.started = 1_700_000_000.25
    record.bytes_sent = sent
    record.bytes_received = received
    record.duration = 0.0125
    record.upstream_host = "10.0.0.7:9080"
    record.upstream_local = "10.0.0.1:40000"
    record.downstream_local = "10.96.0.5:9080"
    record.downstream_remote = "10.0.0.1:39999"
    record.route_name = "default"
    return record


def line_of(formatter: LogFormatter, record: ConnectionRecord) -> bytes:
    """The line of one record."""
    (line,) = formatter.lines([record])
    return line
