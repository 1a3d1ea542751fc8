"""What is known of one request or relayed connection when it ends: filled by the proxy, read by log and metrics."""

from __future__ import annotations

from typing import NamedTuple

from ..reasons import Reason
from ..registry.snapshot import Service
from ..routing.client import Client
from ..routing.decision import Cluster, Rule
from .trace import Trace


class Try(NamedTuple):
    """One try of a request that was tried again: when it set out (seconds since the epoch), for how long it lasted, and
    how it ended: by an answer, or a failure."""

    started: float
    duration: float
    upstream_host: str
    status: int
    reason: Reason | None


class ConnectionRecord:
    """One TCP connection, or one client's session of datagrams (`protocol` is UDP then). Times: `started` is seconds
    since the epoch, durations are seconds; -1 where a point was never reached. Sizes are bytes of what was relayed."""

    __slots__ = (
        "client", "cluster", "started", "protocol", "authority", "reasons", "bytes_received", "bytes_sent", "duration",
        "upstream_host", "upstream_local", "downstream_local", "downstream_remote", "sni", "route_name",
        "transport_failure", "termination", "service", "rule", "opened", "counted_received", "counted_sent",
    )  # fmt: skip

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cluster: Cluster | None = None
        self.started = 0.0
        self.protocol = b"TCP"
        self.authority = b""  # what was asked for, by which metrics name a host that is no service's
        self.reasons: tuple[Reason, ...] = ()
        self.bytes_received = 0
        self.bytes_sent = 0
        self.duration = -1.0
        self.upstream_host = ""
        self.upstream_local = ""
        self.downstream_local = ""
        self.downstream_remote = ""
        self.sni = ""
        self.route_name = ""
        self.transport_failure = ""
        self.termination = ""
        self.service: Service | None = None  # that was dialled, where the registry knows it
        self.rule: Rule | None = None  # that decided
        self.opened = False  # was counted as such
        self.counted_received = 0  # of the bytes, those that were counted before the end
        self.counted_sent = 0


class RequestRecord(ConnectionRecord):
    """One HTTP request. Sizes are body bytes."""

    __slots__ = (
        "method", "path", "original_path", "status", "grpc_status", "upstream_time", "attempts", "forwarded_for",
        "user_agent", "request_id", "received_at", "answered_at", "fields", "response_fields", "trailer_fields",
        "upstream_protocol", "is_copy", "trace", "tries", "tried_at",
    )  # fmt: skip

    def __init__(self, client: Client) -> None:
        ConnectionRecord.__init__(self, client)  # super() costs as much as a good part of what is set here
        self.protocol = b"HTTP/1.1"
        self.upstream_protocol = b""  # of the last try
        self.method = b""
        self.path = b""  # as it came, with the query
        self.original_path = b""  # x-envoy-original-path, if the path was rewritten
        self.status = 0
        self.grpc_status = -1
        self.upstream_time = -1.0
        self.attempts = 0
        self.forwarded_for = b""
        self.user_agent = b""
        self.request_id = b""
        self.trace: Trace | None = None  # its place in one, where requests are traced
        self.tries: tuple[Try, ...] = ()  # those before the last one, which set out at `tried_at`
        self.tried_at = 0.0
        self.received_at = -1.0  # seconds from the beginning to the end of the request, to the response's head
        self.answered_at = -1.0
        self.fields: dict[bytes, bytes] | None = None  # what the log's format shows of the request, the response …
        self.response_fields: dict[bytes, bytes] | None = None
        self.trailer_fields: dict[bytes, bytes] | None = None
        self.is_copy = False  # of a request that a mirror gets
