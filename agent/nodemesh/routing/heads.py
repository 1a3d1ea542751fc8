"""The head of a request that was decided about, as it is kept and carried: who asked, which service, and for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from .client import Client
from .decision import Decision
from .diff.sides import decide
from .diff.spots import Rules, http_rules
from .fields import NO_REPEATED
from .frontend import Frontend
from .match import HEADER, PRESENT, QUERY, WITHOUT, Check, VirtualHost
from .request import Request
from .view import View

#: What stands in the place of a value that is nobody's business. The name stays: rules may ask for that alone.
REDACTED = "(redacted)"

#: How a query parameter is named among what was redacted.
PARAMETER = "?"

#: The schemes of connections without HTTP: TLS that does not end here, and all else.
TLS = "tls"
TCP = "tcp"


class KeptHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Text is latin-1, so that each byte is kept. `at` is seconds since the epoch. In the mesh `host` and `port` were
    dialled, and `service` is the host that they mean, if any; at a gateway `port` is its own, and `sni` the server name
    of TLS. `repeated` has the values of fields that came several times. `redacted` names the fields, and with `?`
    before it the parameters, whose values are gone; `cut` says that more was said than is kept. A connection without
    HTTP has the scheme tls or tcp, and no method."""

    at: float
    client: Client
    port: int
    host: str = ""
    service: str = ""
    gateway: bool = False
    sni: str = ""
    method: str
    scheme: str
    authority: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = {}
    repeated: Mapping[str, tuple[str, ...]] = {}
    redacted: tuple[str, ...] = ()
    cut: bool = False

    @property
    def is_connection(self) -> bool:
        return self.scheme in (TLS, TCP)

    @property
    def place(self) -> str:
        """Where it came to."""
        return place_of(self.service or self.host, self.port) if not self.gateway else gateway_place(self.port)

    @property
    def url(self) -> str:
        """What was dialled, as `nodemesh explain` takes it."""
        if self.is_connection:
            host = self.sni if self.gateway else self.service or self.host
            return f"{self.scheme}://{host or 'gateway'}:{self.port}"
        scheme = "https" if self.gateway and self.scheme == "https" else "http"
        host = self.authority.partition(":")[0] if self.gateway else self.service or self.host
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}{self.path}" + (f"?{self.query}" if self.query else "")


def place_of(host: str, port: int) -> str:
    return f"{host}:{port}"


def gateway_place(port: int) -> str:
    return f"gateway port {port}"


def request_of(head: KeptHead) -> Request:
    """The request as rules see it."""
    fields = {name.encode("latin-1"): value.encode("latin-1") for name, value in head.headers.items()}
    request = Request(
        head.method.encode("latin-1"),
        head.scheme.encode("latin-1"),
        head.authority.encode("latin-1"),
        head.path.encode("latin-1"),
        head.query.encode("latin-1"),
        fields,
    )
    if head.repeated:
        request.repeated = {
            name.encode("latin-1"): tuple(value.encode("latin-1") for value in values)
            for name, values in head.repeated.items()
        }
    else:
        request.repeated = NO_REPEATED
    return request


class HeadAnswer(msgspec.Struct, frozen=True):
    """What a view makes of a head: the rules there, the decision, and the namespace of the service."""

    rules: Rules
    decision: Decision | None
    home: str


def ask(view: View, head: KeptHead) -> HeadAnswer:
    """What becomes of the request, or the connection, in a view of its client."""
    if head.is_connection:
        return ask_connection(view, head)
    request = request_of(head)
    if head.gateway:
        at_gateway = view.gateway_rules(head.port, request.authority, head.sni)
        return HeadAnswer(at_gateway, view.http_gateway(head.port, request, head.sni), "")
    frontend = dialled_by(view, head)
    rules = http_rules(view, frontend, request.authority)
    home = frontend.service.namespace if frontend.service is not None else ""
    return HeadAnswer(rules, decide(rules, request), home)


def dialled_by(view: View, head: KeptHead) -> Frontend:
    """What the client dialled, in this view: the same service, whatever its address is there."""
    frontend = view.frontend_for_host(head.service, head.port) if head.service else None
    return frontend if frontend is not None and frontend.service is not None else view.frontend(head.host, head.port)


def ask_connection(view: View, head: KeptHead) -> HeadAnswer:
    if head.gateway:
        at_gateway = decide_connection(view, None, head.port, head.scheme, head.sni, "")
        return HeadAnswer(at_gateway, at_gateway, "")
    frontend = dialled_by(view, head)
    decision = decide_connection(view, frontend, head.port, head.scheme, head.sni, head.host)
    return HeadAnswer(decision, decision, frontend.service.namespace if frontend.service is not None else "")


def decide_connection(
    view: View, frontend: Frontend | None, port: int, scheme: str, name: str, address: str
) -> Decision:
    """What becomes of a connection without HTTP: to a frontend, or to a gateway's port."""
    if frontend is None:
        return view.tls_gateway(port, name) if scheme == TLS else view.tcp_gateway(port, name)
    return view.tls(frontend, name, address) if scheme == TLS else view.tcp(frontend, address)


def hidden(rules: Rules, head: KeptHead) -> list[str]:
    """The redacted parts of a head that these rules look at: of it, nobody can say how they decide."""
    if not head.redacted or not isinstance(rules, VirtualHost):
        return []
    gone = set(head.redacted)
    found = (name for block in rules.blocks for row in block.rows for check in row.checks for name in names_of(check))
    return sorted({name for name in found if name in gone})


def names_of(check: Check) -> Iterator[str]:
    """What of a head a condition looks at, as `redacted` has it."""
    if check.match.kind == PRESENT:
        return
    if check.field in (HEADER, WITHOUT):
        yield check.key.decode("latin-1")
    elif check.field == QUERY:
        yield PARAMETER + check.key.decode("latin-1")
