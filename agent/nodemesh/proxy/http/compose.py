"""How a request leaves, by a route's decision and its head: nothing is done here, and nothing is changed."""

from __future__ import annotations

from typing import Final

from ...routing.decision import Route
from ...telemetry.record import RequestRecord
from .controls import grpc_limit, retry_for, time_limit
from .head import RequestHead, is_grpc
from .headers import change
from .outgoing import Outgoing
from .placement import Composed, Placement
from .retry import NO_RETRY
from .tracing import write_context
from .variables import NO_FACTS, RequestFacts

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
    """`facts` are the variables' values. Requests that are the same are composed once, but for what identifies them."""
    headers, destination = head.headers, placement.destination
    known = placement.composed
    if known is not None:
        edits, timeout, retry = known.edits.copy(), known.timeout, known.retry
        if known.named:
            edits[REQUEST_ID] = b"x-request-id: " + record.request_id
    else:
        edits = head.edits.copy()
        name = b""
        if placement.path != record.path:
            edits[ORIGINAL_PATH] = b"x-envoy-original-path: " + record.path
        if not headers.get(REQUEST_ID):
            name = edits[REQUEST_ID] = b"x-request-id: " + record.request_id
        if FORWARDED_PROTO not in headers:
            edits[FORWARDED_PROTO] = b"x-forwarded-proto: " + head.scheme
        if destination.request_headers is not None:
            change(destination.request_headers, head.fields, edits, facts)
        if route.request_headers is not None:
            change(route.request_headers, head.fields, edits, facts)
        timeout, retry = route.timeout, route.retry or NO_RETRY
        if head.controlled:
            timeout, retry = time_limit(timeout, headers), retry_for(retry, headers)
        if b"grpc-timeout" in headers and is_grpc(head):
            timeout = grpc_limit(timeout, headers[b"grpc-timeout"])
        memory = head.memory
        if memory is not None and memory.placement is placement and facts is NO_FACTS:
            placement.composed = Composed(edits.copy(), edits.get(REQUEST_ID) is name, timeout, retry)
    if record.trace is not None:
        write_context(record.trace, headers, edits)
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
