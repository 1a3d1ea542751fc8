"""What a route's rule does to requests and answers besides passing them on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from ..base import Model
from .common import (
    BackendReference,
    HeaderName,
    HeaderValue,
    LocalObjectReference,
    PortNumber,
    PreciseHostname,
)

Headers16 = Annotated["tuple[HTTPHeader, ...]", msgspec.Meta(max_length=16)]
HeaderNames64 = Annotated[tuple[HeaderName, ...], msgspec.Meta(max_length=64)]
Strings64 = Annotated[tuple[str, ...], msgspec.Meta(max_length=64)]


class HTTPHeader(Model, frozen=True, kw_only=True):
    """A header's name and its literal value."""

    name: HeaderName
    value: HeaderValue


class HTTPHeaderFilter(Model, frozen=True, kw_only=True):
    set: Headers16 = ()
    add: Headers16 = ()
    remove: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()


class HTTPPathModifierType(StrEnum):
    REPLACE_FULL_PATH = "ReplaceFullPath"
    REPLACE_PREFIX_MATCH = "ReplacePrefixMatch"


class HTTPPathModifier(Model, frozen=True, kw_only=True):
    type: HTTPPathModifierType
    replace_full_path: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class HTTPScheme(StrEnum):
    HTTP = "http"
    HTTPS = "https"


class HTTPRequestRedirectFilter(Model, frozen=True, kw_only=True):
    """Sends the client elsewhere. Without a port it is the scheme's where one is given, else the listener's."""

    scheme: HTTPScheme | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: PortNumber | None = None
    status_code: int = 302


class HTTPURLRewriteFilter(Model, frozen=True, kw_only=True):
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None


class Fraction(Model, frozen=True, kw_only=True):
    numerator: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    denominator: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = 100


class HTTPRequestMirrorFilter(Model, frozen=True, kw_only=True):
    """A copy of the request to another backend; its answer is dropped."""

    backend_ref: BackendReference
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class HTTPCORSMethod(StrEnum):
    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"
    ANY = "*"


CORSOrigin = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=253,
        pattern=r"\A(\*|https?:\/\/((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)\Z",
    ),
]


class HTTPCORSFilter(Model, frozen=True, kw_only=True):
    """Cross-origin requests that browsers may make (the WHATWG's Fetch)."""

    allow_origins: Annotated[tuple[CORSOrigin, ...], msgspec.Meta(max_length=64)] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[tuple[HTTPCORSMethod, ...], msgspec.Meta(max_length=9)] = ()
    allow_headers: HeaderNames64 = ()
    expose_headers: HeaderNames64 = ()
    max_age: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] = 5


class ExternalAuthProtocol(StrEnum):
    HTTP = "HTTP"
    GRPC = "GRPC"


class GRPCAuthConfig(Model, frozen=True, kw_only=True):
    allowed_headers: Strings64 = ()


class HTTPAuthConfig(Model, frozen=True, kw_only=True):
    path: (
        Annotated[
            str, msgspec.Meta(max_length=1024, pattern=r"\A(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+\Z")
        ]
        | None
    ) = None
    allowed_headers: Strings64 = ()
    allowed_response_headers: Strings64 = ()


class ForwardBodyConfig(Model, frozen=True, kw_only=True):
    max_size: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None


class HTTPExternalAuthFilter(Model, frozen=True, kw_only=True):
    """Asks another service whether a request may pass."""

    protocol: ExternalAuthProtocol
    backend_ref: BackendReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class HTTPRouteFilterType(StrEnum):
    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    REQUEST_REDIRECT = "RequestRedirect"
    URL_REWRITE = "URLRewrite"
    EXTENSION_REF = "ExtensionRef"
    CORS = "CORS"
    EXTERNAL_AUTH = "ExternalAuth"


class HTTPRouteFilter(Model, frozen=True, kw_only=True):
    """One step; of the other fields the one that belongs to the type is set."""

    type: HTTPRouteFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    extension_ref: LocalObjectReference | None = None
    external_auth: HTTPExternalAuthFilter | None = None


class GRPCRouteFilterType(StrEnum):
    REQUEST_HEADER_MODIFIER = "RequestHeaderModifier"
    RESPONSE_HEADER_MODIFIER = "ResponseHeaderModifier"
    REQUEST_MIRROR = "RequestMirror"
    EXTENSION_REF = "ExtensionRef"


class GRPCRouteFilter(Model, frozen=True, kw_only=True):
    type: GRPCRouteFilterType
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None
