"""Heads of requests as they may be kept: bounded, and without the values that are somebody's secret."""

from __future__ import annotations

import re

from ..bounded import NAMES, Bounded
from ..routing.client import Client
from ..routing.heads import PARAMETER, REDACTED, KeptHead
from ..routing.request import Request

#: Fields that carry credentials by their definition.
SECRET_FIELDS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-forwarded-client-cert"})

#: Words in a field's name that say the same of it.
SECRET_WORD = re.compile(
    r"(^|[-_.])(api-?key|auth|authorization|bearer|credentials?|csrf|jwt|key|nonce|otp|passw(or)?d|private|secret"
    r"|session(-?id)?|sid|sig|signature|ticket|tokens?|xsrf)($|[-_.])"
)

#: Values that look like one, whatever the field is called: a JWT, a scheme of Authorization with its credentials, a
#: long run of letters and digits. Identifiers of requests and traces are shorter, or have dashes.
SECRET_VALUE = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{4,}\.|^(basic|bearer|digest|negotiate|aws4-hmac-sha256)\s|[A-Za-z0-9+/_=]{40,}", re.IGNORECASE
)

#: What of one head is kept: fields, and characters of each value, of a path or query, of all fields together.
FIELDS = 100
VALUE = 2048
PATH = 4096
ALL = 16 * 1024

#: Names that were judged before; they come from clients, so that only so many are remembered.
REMEMBERED = 4096


class Redaction:
    """`shown` are fields, and `?name` parameters of the query, whose values are kept all the same."""

    def __init__(self, shown: frozenset[str] = frozenset(), room: int = ALL) -> None:
        """`room` is for the fields of one head, in characters."""
        self._shown = shown
        self._room = room
        self._secret: Bounded[bytes, bool] = Bounded(REMEMBERED, NAMES)

    def head(
        self, request: Request, client: Client, at: float, host: str, service: str, port: int, sni: str, gateway: bool
    ) -> KeptHead:
        """What of a request may be kept."""
        redacted: list[str] = []
        headers: dict[str, str] = {}
        repeated: dict[str, tuple[str, ...]] = {}
        left, cut = self._room, False
        for name, value in request.headers.items():
            if len(headers) >= FIELDS or len(name) + len(value) > min(left, VALUE):
                cut = True
                continue
            left -= len(name) + len(value)
            text = name.decode("latin-1")
            if self._is_secret(name, value):
                redacted.append(text)
                headers[text] = REDACTED
            else:
                headers[text] = value.decode("latin-1")
                if name in request.repeated:
                    repeated[text] = tuple(each.decode("latin-1") for each in request.repeated[name])
        query, gone = self._query(request.query[:PATH].decode("latin-1"))
        return KeptHead(
            at=round(at, 6),
            client=bare(client),
            host=host,
            service=service,
            port=port,
            gateway=gateway,
            sni=sni,
            method=request.method[:VALUE].decode("latin-1"),
            scheme=request.scheme.decode("latin-1"),
            authority=request.authority[:VALUE].decode("latin-1"),
            path=request.path[:PATH].decode("latin-1"),
            query=query,
            headers=headers,
            repeated=repeated,
            redacted=tuple(redacted + gone),
            cut=cut or len(request.path) > PATH or len(request.query) > PATH or len(request.authority) > VALUE,
        )

    def _is_secret(self, name: bytes, value: bytes) -> bool:
        known = self._secret.found.get(name)
        if known is None:
            text = name.decode("latin-1")
            known = self._secret.keep(name, text in SECRET_FIELDS or bool(SECRET_WORD.search(text)), len(name))
        if not known and not SECRET_VALUE.search(value.decode("latin-1")):
            return False
        return name.decode("latin-1") not in self._shown

    def _query(self, query: str) -> tuple[str, list[str]]:
        """What comes after `?` is often secret (tokens, signed links): only the parameters' names are kept."""
        if not query:
            return "", []
        parts, gone = [], []
        for part in query.split("&")[:FIELDS]:
            name, found, value = part.partition("=")
            if PARAMETER + name in self._shown:
                parts.append(part)
            elif found and value:
                parts.append(f"{name}={REDACTED}")
                gone.append(PARAMETER + name)
            else:
                parts.append(name + found if not SECRET_VALUE.search(name) else REDACTED)
        return "&".join(parts), gone


def connection_head(
    client: Client, at: float, host: str, service: str, port: int, sni: str, scheme: str, gateway: bool
) -> KeptHead:
    """What is kept of a connection without HTTP."""
    return KeptHead(
        at=round(at, 6),
        client=bare(client),
        host=host,
        service=service,
        port=port,
        gateway=gateway,
        sni=sni[:VALUE],
        method="",
        scheme=scheme,
        authority="",
        path="",
    )


def bare(client: Client) -> Client:
    """A client by what rules look at, and its name."""
    return Client(
        namespace=client.namespace,
        name=client.name,
        labels=dict(client.labels),
        locality=client.locality,
        node=client.node,
        network=client.network,
        cluster=client.cluster,
        gateway=client.gateway,
        topology=client.topology,
    )
