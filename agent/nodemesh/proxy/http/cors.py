"""Cross-origin requests: preflights that the proxy answers itself, and the fields that it adds to other responses.

The Fetch standard's CORS protocol, as Envoy's cors filter does it."""

from __future__ import annotations

from ...routing.decision import Cors
from ...routing.request import Request
from .head import Edits


def is_preflight(request: Request) -> bool:
    return (
        request.method == b"OPTIONS"
        and b"access-control-request-method" in request.headers
        and bool(request.headers.get(b"origin"))
    )


def preflight_edits(cors: Cors, request: Request) -> Edits | None:
    """The fields of the answer to a preflight; None where the upstream is to answer it."""
    origin = request.headers[b"origin"]
    if not cors.allow_origin(origin):
        return None if cors.forward_unmatched else {}
    values = {b"access-control-allow-origin": origin}
    if cors.credentials:
        values[b"access-control-allow-credentials"] = b"true"
    methods = request.headers[b"access-control-request-method"] if cors.methods == b"*" else cors.methods
    if methods:
        values[b"access-control-allow-methods"] = methods
    headers = cors.headers
    if headers == b"*":
        headers = request.headers.get(b"access-control-request-headers", b"")
    if headers:
        values[b"access-control-allow-headers"] = headers
    if cors.max_age:
        values[b"access-control-max-age"] = cors.max_age
    if cors.expose:
        values[b"access-control-expose-headers"] = cors.expose
    return as_edits(values)


def edit_response(cors: Cors, origin: bytes, edits: Edits) -> None:
    """What an allowed origin finds in a response, in place of what the upstream said."""
    if not origin or not cors.allow_origin(origin):
        return
    values = {b"access-control-allow-origin": origin}
    if cors.credentials:
        values[b"access-control-allow-credentials"] = b"true"
    if cors.expose:
        values[b"access-control-expose-headers"] = cors.expose
    edits.update(as_edits(values))


def as_edits(values: dict[bytes, bytes]) -> Edits:
    return {name: name + b": " + value for name, value in values.items()}
