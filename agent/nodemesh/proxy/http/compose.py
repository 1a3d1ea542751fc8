"""How a request leaves, by a route's decision and its head: nothing is done here, and nothing is changed."""

from __future__ import annotations

from typing import Final

from ...routing.decision import Destination, Route
from ...routing.rewrite import rewritten
from ...telemetry.record import RequestRecord
from .controls import grpc_limit, retry_for, time_limit
from .head import RequestHead, is_grpc
from .headers import change
from .outgoing import Outgoing
from .placement import Placement
from .retry import NO_RETRY
from .variables import Facts

# Fields that the proxy writes.
ORIGINAL_PATH: Final = b"x-envoy-original-path"
REQUEST_ID: Final = b"x-request-id"
FORWARDED_PROTO: Final = b"x-forwarded-proto"


def readdress(route: Route, destination: Destination, head: RequestHead, path: bytes) -> tuple[bytes, bytes]:
    """The path with its query (`path` as it came) and the authority, as the rules rewrite them."""
    authority = head.authority
    rewrite = destination.rewrite or route.rewrite
    if rewrite is not None:
        changed = rewritten(rewrite, head.path)
        if changed != head.path:
            path = changed + b"?" + head.query if head.query else changed
        authority = rewrite.authority or authority
    if destination.authority and (rewrite is None or not rewrite.authority):
        authority = destination.authority
    return path, authority


def compose(
    route: Route,
    placement: Placement,
    head: RequestHead,
    record: RequestRecord,
    facts: Facts,
    *,
    address: tuple[bytes, bytes],
    dialled: tuple[str, int] | None,
) -> Outgoing:
    """`facts` are what variables stand for; `address` is `readdress`'s."""
    headers, destination = head.headers, placement.destination
    edits = head.edits.copy()
    if record.original_path:
        edits[ORIGINAL_PATH] = b"x-envoy-original-path: " + record.original_path
    if not headers.get(REQUEST_ID):
        edits[REQUEST_ID] = b"x-request-id: " + record.request_id
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
    path, authority = address
    key, wanted = placement.key, placement.wanted
    return Outgoing(head, path, authority, edits, timeout=timeout, retry=retry, key=key, wanted=wanted, dialled=dialled)
