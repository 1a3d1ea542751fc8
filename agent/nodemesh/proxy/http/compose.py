"""How a request leaves, by a route's decision and its head: nothing is done here, and nothing is changed."""

from __future__ import annotations

from typing import Final

from ...routing.decision import Route
from ...telemetry.record import RequestRecord
from .controls import grpc_limit, retry_for, time_limit
from .head import RequestHead, is_grpc
from .headers import change
from .outgoing import Outgoing
from .placement import Placement
from .retry import NO_RETRY
from .tracing import write_context
from .variables import RequestFacts

# Fields that the proxy writes.
ORIGINAL_PATH: Final = b"x-envoy-original-path"
REQUEST_ID: Final = b"x-request-id"
FORWARDED_PROTO: Final = b"x-forwarded-proto"


def compose(
    route: Route,
    placement: Placement,
    head: RequestHead,
    record: RequestRecord,
    facts: RequestFacts,
    dialled: tuple[str, int] | None,
) -> Outgoing:
    """`facts` are the variables' values."""
    headers, destination = head.headers, placement.destination
    edits = head.edits.copy()
    if placement.path != record.path:
        edits[ORIGINAL_PATH] = b"x-envoy-original-path: " + record.path
    if not headers.get(REQUEST_ID):
        edits[REQUEST_ID] = b"x-request-id: " + record.request_id
    if FORWARDED_PROTO not in headers:
        edits[FORWARDED_PROTO] = b"x-forwarded-proto: " + head.scheme
    if destination.request_headers is not None:
        change(destination.request_headers, head.fields, edits, facts)
    if route.request_headers is not None:
        change(route.request_headers, head.fields, edits, facts)
    if record.trace is not None:
        write_context(record.trace, headers, edits)
    timeout, retry = route.timeout, route.retry or NO_RETRY
    if head.controlled:
        timeout, retry = time_limit(timeout, headers), retry_for(retry, headers)
    if b"grpc-timeout" in headers and is_grpc(head):
        timeout = grpc_limit(timeout, headers[b"grpc-timeout"])
    return Outgoing(
        head,
        placement.path,
        placement.authority,
        edits,
        timeout=timeout,
        retry=retry,
        key=placement.key,
        wanted=placement.wanted,
        dialled=dialled,
    )
