"""Paths and locations as rules change them: prefix and regex rewrites, redirects, normalisation (all pure)."""

from __future__ import annotations

import re

from .decision import Redirect, Route
from .request import Request

DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}

#: Percent-encoded unreserved characters, which mean the same unencoded (RFC 3986, 6.2.2.2).
ENCODED_UNRESERVED = re.compile(rb"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])")


def rewrite_path(route: Route, path: bytes) -> bytes:
    """The path (without query) that the upstream gets. A matched prefix is replaced literally: `/foo` by `/` makes
    `//bar` of `/foo/bar`, as in Envoy."""
    rewrite = route.rewrite
    if rewrite is None:
        return path
    if rewrite.substitute is not None:
        return rewrite.substitute(path)
    if rewrite.uri is None:
        return path
    return rewrite.uri if rewrite.prefix < 0 else rewrite.uri + path[rewrite.prefix :]


def redirect_location(redirect: Redirect, request: Request, *, listener_port: int) -> bytes:
    """The Location of a redirect. `listener_port` is the port that the client dialled."""
    old_scheme = request.scheme or b"http"
    scheme = redirect.scheme or old_scheme
    port = b""
    if redirect.port:
        port = b":%d" % redirect.port
    elif redirect.from_request_port:
        port = b":%d" % listener_port
    if not redirect.port and port == DEFAULT_PORTS.get(scheme):
        port = b""
    host = redirect.authority or kept_host(request.authority, old_scheme, scheme, port)
    return scheme + b"://" + host + port + redirected_path(redirect, request)


def kept_host(authority: bytes, old_scheme: bytes, scheme: bytes, port: bytes) -> bytes:
    """The request's own Host: its port goes where the redirect gives another one, or where it was the default port of
    a scheme that changes."""
    end = authority.rfind(b":")
    if end < 0 or authority.endswith(b"]"):
        return authority
    default = scheme != old_scheme and authority[end:] == DEFAULT_PORTS.get(old_scheme)
    return authority[:end] if port or default else authority


def redirected_path(redirect: Redirect, request: Request) -> bytes:
    """Path and query. A new path with a query of its own drops the request's."""
    path = request.path
    if redirect.uri is not None:
        path = redirect.uri + (request.path[redirect.prefix :] if redirect.prefix >= 0 else b"")
        if redirect.prefix < 0 and b"?" in path:
            return path
    return path + b"?" + request.query if request.query else path


def normalize_path(path: bytes) -> bytes:
    """The path that rules match: `\\` becomes `/`, encoded unreserved characters are decoded, `.` and `..` resolved
    (RFC 3986, 5.2.4). Repeated slashes and `%2F` stay as they are, as with Istio's defaults."""
    if b"/." not in path and b"%" not in path and b"\\" not in path:
        return path
    path = ENCODED_UNRESERVED.sub(decoded, path.replace(b"\\", b"/"))
    if b"/." not in path or not path.startswith(b"/"):
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
            continue
        if last:
            kept.append(b"")
    return b"/" + b"/".join(kept)


def decoded(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))
