"""A traced request as the span that is exported: OpenTelemetry's HTTP conventions, and Envoy's and Istio's own tags."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec

from .labels import DEFAULT_CLUSTER, FLAGS, UNKNOWN, endpoint_of, flags_of, peer_of, source_workload, workload_of
from .record import RequestRecord, Try
from .trace import Trace
from .values import host_of, port_of

#: Bytes of one value: clients decide on some.
LONGEST = 1024

#: Bytes of a span's custom tags together.
TAGS = 8 * 1024

#: Tries of a request that are shown, beside the last.
TRIES = 16

#: By which identifiers of a request's tries lie apart (2**64 divided by the golden ratio).
STEP = 0x9E3779B97F4A7C15

Value = str | int


class Span(msgspec.Struct, frozen=True, array_like=True):
    """`service` is whose client this is of, `started` seconds since the epoch, `duration` seconds."""

    provider: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    started: float
    duration: float
    failed: bool
    attributes: dict[str, Value]


def spans_of(record: RequestRecord, trace: Trace, environment: Callable[[str], str]) -> list[Span]:
    """The span of a request that has ended, and where it was tried several times, one for each try below it."""
    whole = span_of(record, trace, environment)
    if not record.tries:
        return [whole]
    last = Try(
        record.tried_at,
        max(record.started + record.duration - record.tried_at, 0.0),
        record.upstream_host,
        record.status if record.upstream_time >= 0.0 else 0,  # else the answer is our own
        record.reasons[-1] if record.reasons else None,
    )
    tries = [*record.tries[:TRIES], last]
    return [whole, *(_of_try(whole, record, each, number) for number, each in enumerate(tries))]


def _of_try(whole: Span, record: RequestRecord, each: Try, number: int) -> Span:
    """Its identifier follows from the request's, which is random."""
    attributes: dict[str, Value] = {"component": "proxy", "http.request.method": _text(record.method)}
    if each.upstream_host:
        attributes["network.peer.address"] = host_of(each.upstream_host)
        attributes["network.peer.port"] = port_of(each.upstream_host) or 0
        attributes["upstream_address"] = each.upstream_host
    if number:
        attributes["http.request.resend_count"] = number
    if each.status:
        attributes["http.response.status_code"] = each.status
    failed = each.status >= 500 or not each.status
    if failed:
        attributes["error.type"] = str(each.status) if each.status else FLAGS[(each.reason,)] if each.reason else "-"
    cluster = record.cluster.name if record.cluster is not None else ""
    attributes["upstream_cluster"] = cluster
    return msgspec.structs.replace(
        whole,
        span_id=f"{(int(whole.span_id, 16) + (number + 1) * STEP) % 2**64 or 1:016x}",
        parent_id=whole.span_id,
        name=f"router {cluster} egress",
        started=each.started,
        duration=max(each.duration, 0.0),
        failed=failed,
        attributes=attributes,
    )


def span_of(record: RequestRecord, trace: Trace, environment: Callable[[str], str]) -> Span:
    """The span of a request that has ended; `environment` gives variables that tags may show."""
    client = record.client
    _, _, service, revision = peer_of(source_workload(client), client.labels)
    attributes = dict(_attributes(record))
    if trace.rule.istio_tags:
        attributes |= {
            "istio.canonical_service": service,
            "istio.canonical_revision": revision,
            "istio.namespace": client.namespace,
            "istio.cluster_id": client.cluster or DEFAULT_CLUSTER,
            "istio.mesh_id": "cluster.local",
            "istio.source_workload": source_workload(client),
            "istio.source_namespace": client.namespace,
            **_destination(record),
        }
    fields = record.fields or {}
    room = TAGS
    for tag in trace.rule.tags:
        value = tag.value
        if tag.header:
            value = _text(fields.get(tag.header.encode(), b"")) or value
        elif tag.environment:
            value = environment(tag.environment) or value
        value = value[:LONGEST]
        room -= len(tag.name) + len(value)
        if value and room >= 0:
            attributes[tag.name] = value
    return Span(
        provider=trace.rule.provider,
        trace_id=trace.trace_id.decode(),
        span_id=trace.span_id.decode(),
        parent_id=trace.parent_id.decode(),
        name=f"{_asked(record)}/*",
        service=f"{service}.{client.namespace}" if client.namespace else service,
        started=record.started,
        duration=max(record.duration, 0.0),
        failed=record.status >= 500 or record.status == 0,
        attributes=attributes,
    )


def _text(value: bytes) -> str:
    return value[:LONGEST].decode("latin-1")


def _asked(record: RequestRecord) -> str:
    """`host:port` of the service, as Istio names its spans."""
    cluster = record.cluster
    if cluster is not None and cluster.host:
        return f"{cluster.host}:{cluster.port}"
    if record.service is not None:
        return f"{record.service.host}:{port_of(record.downstream_local) or ''}"
    return _text(record.authority)


def _attributes(record: RequestRecord) -> Iterator[tuple[str, Value]]:
    method, path, authority = _text(record.method), _text(record.path), _text(record.authority)
    host, port = host_of(authority), port_of(authority) or port_of(record.downstream_local)
    url = f"http://{authority}{path}"
    protocol = record.protocol.decode("latin-1")
    yield from (("http.request.method", method), ("url.full", url), ("server.address", host))
    if port:
        yield "server.port", port
    yield from (("network.protocol.name", "http"), ("network.protocol.version", protocol.partition("/")[2]))
    if record.status:
        yield "http.response.status_code", record.status
    flags = flags_of(record)
    if record.status >= 500 or not record.status:
        yield "error.type", str(record.status) if record.status else flags
        yield "error", "true"
    if record.upstream_host:
        yield "network.peer.address", host_of(record.upstream_host)
        yield "network.peer.port", port_of(record.upstream_host) or 0
        yield "upstream_address", record.upstream_host
    if record.attempts > 1:
        yield "http.request.resend_count", record.attempts - 1
        yield "retry.count", record.attempts - 1
    # Envoy's own tags.
    yield from (("component", "proxy"), ("http.method", method), ("http.url", url), ("http.protocol", protocol))
    yield from (("http.status_code", str(record.status)), ("response_flags", flags))
    yield from (("request_size", record.bytes_received), ("response_size", record.bytes_sent))
    yield "guid:x-request-id", _text(record.request_id)
    yield "peer.address", host_of(record.downstream_remote)
    yield "user_agent", _text(record.user_agent) or "-"
    if record.cluster is not None:
        yield "upstream_cluster", record.cluster.name
        yield "upstream_cluster.name", record.cluster.name
    if record.grpc_status >= 0:
        yield "rpc.grpc.status_code", record.grpc_status
        yield "grpc.status_code", str(record.grpc_status)
    rule = record.rule
    if rule is not None and rule.owner.name:
        name = f" {record.route_name}" if record.route_name else ""
        yield "nodemesh.rule", f"{rule.owner.key} {rule.path}{name}"
        yield "nodemesh.location", str(rule.location)


def _destination(record: RequestRecord) -> dict[str, Value]:
    cluster = record.cluster
    endpoint = endpoint_of(cluster, record.upstream_host) if cluster is not None else None
    if cluster is None or endpoint is None:
        return {}
    workload = workload_of(endpoint)
    _, _, service, revision = peer_of(workload, endpoint.labels)
    return {
        "istio.destination_workload": workload or UNKNOWN,
        "istio.destination_namespace": endpoint.workload.partition("/")[0] or UNKNOWN,
        "istio.destination_canonical_service": service,
        "istio.destination_canonical_revision": revision,
    }


def variable_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    """Reads the environment variables that MeshConfig allows; of the others nothing."""
    return lambda name: os.environ.get(name, "") if name in allowed else ""
