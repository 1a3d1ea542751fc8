"""Paths and locations as rules change them: prefix and regex rewrites, redirects, normalisation (all pure)."""

from __future__ import annotations

import re
from typing import Final

from .decision import Redirect, Rewrite, Route
from .request import Request

DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}

#: Segments that begin with a dot, and encoded characters that mean the same unencoded, in one path: each is work, and
#: no honest path has so many.
MAX_UNUSUAL: Final = 256

#: Percent-encoded unreserved characters, which mean the same unencoded (RFC 3986, 6.2.2.2).
ENCODED_UNRESERVED: Final = re.compile(rb"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])")


def rewrite_path(route: Route, path: bytes) -> bytes:
    """The path (without query) that the upstream gets. A matched prefix is replaced literally: `/foo` by `/` makes
    `//bar` of `/foo/bar`, as in Envoy."""
    return path if route.rewrite is None else rewritten(route.rewrite, path)


def rewritten(rewrite: Rewrite, path: bytes) -> bytes:
    if rewrite.substitute is not None:
        return rewrite.substitute(path)
    if rewrite.uri is None:
        return path
    return rewrite.uri if rewrite.prefix < 0 else rewrite.uri + path[rewrite.prefix :]


def redirect_location(redirect: Redirect, request: Request, *, listener_port: int) -> bytes:
    """The Location of a redirect. `listener_port` is the port that the client dialled."""
    old_scheme = request.scheme or b"http"
    scheme = redirect.scheme or old_scheme
    if redirect.listener_port:
        return (
            scheme + b"://" + told_host(redirect, request, scheme, listener_port) + redirected_path(redirect, request)
        )
    port = b""
    if redirect.port:
        port = b":%d" % redirect.port
    elif redirect.from_request_port:
        port = b":%d" % listener_port
    if not redirect.port and port == DEFAULT_PORTS.get(scheme):
        port = b""
    host = redirect.authority or kept_host(request.authority, old_scheme, scheme, port)
    return scheme + b"://" + host + port + redirected_path(redirect, request)


def told_host(redirect: Redirect, request: Request, scheme: bytes, listener_port: int) -> bytes:
    """Host and port as the Gateway API has them: a scheme's own port is not written."""
    default = DEFAULT_PORTS.get(scheme, b"")
    port = default if redirect.scheme and not redirect.port else b":%d" % (redirect.port or listener_port)
    return (redirect.authority or bare_host(request.authority)) + (b"" if port == default else port)


def bare_host(authority: bytes) -> bytes:
    """An authority without its port."""
    end = authority.rfind(b":")
    return authority if end < 0 or authority.endswith(b"]") else authority[:end]


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
    if redirect.substitute is not None:
        path = redirect.substitute(path)
    elif redirect.uri is not None:
        path = redirect.uri + (request.path[redirect.prefix :] if redirect.prefix >= 0 else b"")
        if redirect.prefix < 0 and path.find(b"?") >= 0:
            return path
    return path + b"?" + request.query if request.query else path


def normalize_path(path: bytes) -> bytes:
    """The path that rules match: `\\` becomes `/`, encoded unreserved characters are decoded, `.` and `..` resolved
    (RFC 3986, 5.2.4). Repeated slashes and `%2F` stay as they are, as with Istio's defaults. Raises ValueError for more
    of these than `MAX_UNUSUAL`."""
    if path.find(b"/.") < 0 and path.find(b"%") < 0 and path.find(b"\\") < 0:
        return path
    path, count = ENCODED_UNRESERVED.subn(decoded, path.replace(b"\\", b"/"), MAX_UNUSUAL)
    if count == MAX_UNUSUAL:
        raise ValueError(f"{MAX_UNUSUAL} or more encoded characters that need no encoding")
    if path.find(b"/.") < 0 or not path.startswith(b"/"):
        return path
    if path.count(b"/.") >= MAX_UNUSUAL:
        raise ValueError(f"{MAX_UNUSUAL} or more segments that begin with a dot")
    return without_dots(path)


def without_dots(path: bytes) -> bytes:
    """A path that begins with `/`, its segments `.` and `..` resolved; what stands between these is only copied."""
    kept = bytearray()
    copied = 0  # so much of the path is dealt with
    dot = path.find(b"/.")
    while dot >= 0:
        end = path.find(b"/", dot + 1)
        if end < 0:
            end = len(path)
        segment = path[dot + 1 : end]
        if segment == b"." or segment == b"..":
            kept += path[copied:dot]
            if segment == b"..":
                del kept[max(kept.rfind(b"/"), 0) :]
            copied = end
            if end == len(path):
                kept += b"/"
        dot = path.find(b"/.", end)
    kept += path[copied:]
    return bytes(kept)


def decoded(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))
