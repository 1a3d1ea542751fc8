"""Values of a record as the access log shows them."""

from __future__ import annotations

import time
from ipaddress import ip_network
from typing import Final

from ..bounded import Bounded
from ..reasons import TEXTS, Reason
from ..routing.decision import Cluster
from .labels import FLAGS, endpoint_of, workload_of
from .memo import LIMIT, Memo
from .record import ConnectionRecord, RequestRecord

#: Bytes of one field that a line shows: a client or an upstream decides on them.
FIELD_LIMIT: Final = 4096


class Printable(Memo[bytes, str]):
    """Bytes of a client as a line may hold them: no control characters, no quote that would end the field, not too
    many."""

    def make(self, key: bytes) -> str:
        text = key.decode("latin-1") if len(key) <= FIELD_LIMIT else key[:FIELD_LIMIT].decode("latin-1") + "..."
        if text.isprintable() and '"' not in text:
            return text
        return "".join(char if char.isprintable() and char != '"' else f"\\x{ord(char):02x}" for char in text)


PRINTABLE: Final = Printable()


class Seconds(Memo[int, str]):
    """A second since 1970 in ISO format."""

    def make(self, key: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(key))


SECONDS: Final = Seconds()


class Details(Memo[tuple[Reason, ...], str]):
    """Envoy's words for how a request ended: its last reason's."""

    def make(self, key: tuple[Reason, ...]) -> str:
        return TEXTS[key[-1] if key else Reason.NONE].details


DETAILS: Final = Details()


def details_of(record: ConnectionRecord) -> str:
    """RESPONSE_CODE_DETAILS: where no connection was made, with the reason of that (Envoy joins them with `|`)."""
    details = DETAILS[record.reasons]
    if record.transport_failure and record.reasons[-1:] == (Reason.UPSTREAM_CONNECTION_FAILURE,):
        return f"{details[:-1]}|{underscored(record.transport_failure)}}}"
    return details


def has_failed(record: ConnectionRecord) -> bool:
    """Whether it is one of those that people look for."""
    if isinstance(record, RequestRecord) and (record.status >= 500 or not record.status):
        return True
    return bool(FLAGS[record.reasons])


def underscored(text: str) -> str:
    """A sentence as one word, as Envoy's log has it."""
    return text.replace(" ", "_")


#: Envoy's long names of its response flags (its CORE_RESPONSE_FLAGS).
LONG_NAMES: Final = {
    "UH": "NoHealthyUpstream",
    "UT": "UpstreamRequestTimeout",
    "UR": "UpstreamRemoteReset",
    "UF": "UpstreamConnectionFailure",
    "UC": "UpstreamConnectionTermination",
    "UO": "UpstreamOverflow",
    "NR": "NoRouteFound",
    "DI": "DelayInjected",
    "FI": "FaultInjected",
    "DC": "DownstreamConnectionTermination",
    "URX": "UpstreamRetryLimitExceeded",
    "SI": "StreamIdleTimeout",
    "DPE": "DownstreamProtocolError",
    "DT": "DurationTimeout",
    "UPE": "UpstreamProtocolError",
    "NC": "NoClusterFound",
}


class LongFlags(Memo[tuple[Reason, ...], str]):
    """RESPONSE_FLAGS_LONG."""

    def make(self, key: tuple[Reason, ...]) -> str:
        return ",".join([LONG_NAMES[flag] for flag in FLAGS[key].split(",") if flag]) or "-"


LONG_FLAGS: Final = LongFlags()


#: Envoy's names of gRPC's statuses by number (its `Grpc::Utility`), in camel case and in Abseil's.
CAMEL_NAMES: Final = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip


SNAKE_NAMES: Final = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


def grpc_name(status: int, form: str) -> str:
    """GRPC_STATUS in one of Envoy's forms: CAMEL_STRING, SNAKE_STRING, NUMBER."""
    if form == "NUMBER" or status >= len(CAMEL_NAMES):
        return str(status)
    return SNAKE_NAMES[status] if form == "SNAKE_STRING" else CAMEL_NAMES[status]


def point(record: RequestRecord, name: str) -> float:
    """Seconds from the request's beginning to one of COMMON_DURATION's points, -1 where it was never reached, or is not
    recorded. What has come is passed on in the same turn of the loop."""
    if name == "DS_RX_BEG":
        return 0.0
    if name == "DS_RX_END":
        return record.received_at
    if name in ("US_RX_BEG", "US_RX_BODY_BEG", "DS_TX_BEG"):
        return record.answered_at
    if name == "US_TX_BEG" and record.answered_at >= 0.0 and record.upstream_time >= 0.0:
        return record.answered_at - record.upstream_time
    if name == "DS_TX_END" or (name == "US_RX_END" and record.answered_at >= 0.0):
        return record.duration
    return -1.0


def between(record: RequestRecord, start: str, end: str, unit: float) -> int | None:
    """COMMON_DURATION."""
    first, last = point(record, start), point(record, end)
    return int((last - first) * unit) if first >= 0.0 and last >= first else None


def trace_id(record: RequestRecord) -> str:
    """The trace that the request belongs to, by W3C's header or by B3's, single or many."""
    fields = record.fields
    if fields is None:
        return ""
    parts = fields.get(b"traceparent", b"").split(b"-")
    if len(parts) >= 4 and len(parts[1]) == 32:
        return PRINTABLE[parts[1]]
    found = fields.get(b"x-b3-traceid") or fields.get(b"b3", b"").partition(b"-")[0]
    return PRINTABLE[found] if len(found) in (16, 32) else ""


def query_of(path: bytes, name: bytes) -> bytes:
    """The value of a parameter in a path's query, as it was sent."""
    for part in path.partition(b"?")[2].split(b"&"):
        key, _, value = part.partition(b"=")
        if key == name:
            return value
    return b""


def host_of(address: str) -> str:
    """An address without its port and its brackets; of a socket's path all."""
    host, found, port = address.rpartition(":")
    return host.strip("[]") if found and port.isdigit() else address


def port_of(address: str) -> int | None:
    """An address' port; of a socket's path none."""
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


def network_of(address: str, length: str) -> str:
    """The network of so many bits that an address is in; as `host_of` where no length is given, or where the address is
    not an IP address, or is shorter."""
    host = host_of(address)
    if not length:
        return host
    try:
        return str(ip_network(f"{host}/{length}", strict=False))
    except ValueError:
        return host


class Destinations:
    """The workloads behind the endpoints of clusters, by the cluster's name and `address:port`."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Bounded[tuple[str, str], tuple[Cluster, str]] = Bounded(LIMIT)

    def of(self, record: ConnectionRecord) -> str:
        """The destination's workload, empty where none is known."""
        cluster = record.cluster
        if cluster is None or not record.upstream_host:
            return ""
        key = (cluster.name, record.upstream_host)
        known = self._known.found.get(key)
        if known is not None and known[0] is cluster:
            return known[1]
        endpoint = endpoint_of(cluster, record.upstream_host)
        name = workload_of(endpoint) if endpoint is not None else ""
        self._known.keep(key, (cluster, name))
        return name
