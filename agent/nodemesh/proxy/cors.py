"""Cross-origin requests: preflights that the proxy answers itself, and the fields that it adds to other responses.

The Fetch standard's CORS protocol, as Envoy's cors filter does it."""

from __future__ import annotations

from ..routing.decision import Cors
from ..routing.request import Request
from .http1.lines import name_of


def is_preflight(request: Request) -> bool:
    return (
        request.method == b"OPTIONS"
        and b"access-control-request-method" in request.headers
        and bool(request.headers.get(b"origin"))
    )


def preflight_lines(cors: Cors, request: Request) -> list[bytes] | None:
    """The fields of the answer to a preflight; None where the upstream is to answer it."""
    origin = request.headers[b"origin"]
    if not cors.allow_origin(origin):
        return None if cors.forward_unmatched else []
    lines = [b"access-control-allow-origin: " + origin]
    if cors.credentials:
        lines.append(b"access-control-allow-credentials: true")
    methods = request.headers[b"access-control-request-method"] if cors.methods == b"*" else cors.methods
    if methods:
        lines.append(b"access-control-allow-methods: " + methods)
    headers = cors.headers
    if headers == b"*":
        headers = request.headers.get(b"access-control-request-headers", b"")
    if headers:
        lines.append(b"access-control-allow-headers: " + headers)
    if cors.max_age:
        lines.append(b"access-control-max-age: " + cors.max_age)
    return lines


def add_response_lines(cors: Cors, origin: bytes, lines: list[bytes]) -> None:
    """What an allowed origin finds in a response, in place of what the upstream said."""
    if not origin or not cors.allow_origin(origin):
        return
    ours = {b"access-control-allow-origin": origin}
    if cors.credentials:
        ours[b"access-control-allow-credentials"] = b"true"
    if cors.expose:
        ours[b"access-control-expose-headers"] = cors.expose
    lines[:] = [line for line in lines if name_of(line) not in ours]
    lines += [name + b": " + value for name, value in ours.items()]
