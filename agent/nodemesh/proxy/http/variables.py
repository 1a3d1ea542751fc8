"""What the variables in header values (Envoy's command operators) stand for, at the moment when a head is written.

Of those that Envoy has, some have no value here: what belongs to its filters (metadata, filter state), to tracing and
to QUIC, sizes on the wire, connections' numbers, and a gateway's own certificate. A field whose value comes out empty
is left out."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...config.commands import COMMANDS, UNITS, Command
from ...reasons import TEXTS, Reason
from ...routing.client import Client
from ...routing.match import pseudo_header, query_value
from ...telemetry.labels import FLAGS
from ...telemetry.moments import local_moment, moment
from ...telemetry.record import RequestRecord
from ...telemetry.values import LONG_FLAGS, grpc_name, host_of, network_of, port_of
from ..tls.peer import of_connection
from ..transport import Secured
from .environment import variable
from .head import RequestFields, RequestHead, ResponseHead
from .lines import name_of, value_of

if TYPE_CHECKING:
    from .call import Call
    from .request_id import RequestIds

HOSTNAME: Final = socket.gethostname()


class RequestFacts:
    """What is known of a request and its answer. `response` and `call` are None until there is such a one. Times are
    the proxy's clock's, `received` when the request was complete (0: it is not yet)."""

    __slots__ = (
        "record", "request", "response", "peer", "security", "call", "began", "received", "now", "wall", "ids",
    )  # fmt: skip

    def __init__(self, record: RequestRecord, request: RequestHead, peer: str) -> None:
        self.record = record
        self.request = request
        self.response: ResponseHead | None = None
        self.peer = peer  # the client's end of its connection, "address:port"
        self.security: Secured | None = None  # of the client's connection
        self.call: Call | None = None
        self.began = 0.0
        self.received = 0.0
        self.now = 0.0
        self.wall = 0.0  # seconds since 1970
        self.ids: RequestIds | None = None

    @property
    def upstream(self) -> Secured | None:
        """The TLS of the upstream's connection."""
        call = self.call
        if self.response is None or call is None:
            return None
        return call.security


#: For values without variables.
NO_FACTS: Final = RequestFacts(
    RequestRecord(Client(namespace="")), RequestHead(b"", b"", b"", b"", b"", RequestFields([], frozenset(), {})), ""
)

Value = Callable[[RequestFacts, str], str]


def milliseconds(seconds: float) -> str:
    return str(max(int(seconds * 1000.0), 0))


# --- fields


def requested(facts: RequestFacts, argument: str) -> str:
    """REQ: a field's first value, or its stand-in's."""
    for name in argument.lower().encode().split(b"?"):
        value = request_field(facts, name)
        if value:
            return value.decode("latin-1")
    return ""


def request_field(facts: RequestFacts, name: bytes) -> bytes:
    request, record = facts.request, facts.record
    if name == b":path":
        return record.path
    if name.startswith(b":") or name == b"host":
        return pseudo_header(request, name) or b""
    if name in request.repeated:
        return request.repeated[name][0]
    value = request.headers.get(name, b"")
    if not value and name == b"x-request-id":
        return record.request_id
    if not value and name == b"x-forwarded-proto":
        return request.scheme
    return record.original_path if name == b"x-envoy-original-path" else value


def responded(facts: RequestFacts, argument: str) -> str:
    """RESP: as REQ, of the response as it came."""
    response = facts.response
    if response is None:
        return ""
    for name in argument.lower().encode().split(b"?"):
        value = response_field(response, name)
        if value:
            return value.decode("latin-1")
    return ""


def response_field(response: ResponseHead, name: bytes) -> bytes:
    if name == b":status":
        return b"%d" % response.status
    if name == b"content-length" and response.length >= 0:
        return b"%d" % response.length
    if name not in response.names:
        return b""
    return next((value_of(line) for line in response.lines if name_of(line) == name), b"")


def path(facts: RequestFacts, argument: str) -> str:
    """PATH: with its query or without (NQ); as it came, or as the client wrote it before a rewrite (ORIG)."""
    kind, _, which = argument.partition(":")
    record = facts.record
    if which == "PATH":
        whole = record.path
    elif which == "ORIG":
        whole = record.original_path
    else:
        whole = record.original_path or record.path
    return (whole.partition(b"?")[0] if kind == "NQ" else whole).decode("latin-1")


def query_param(facts: RequestFacts, argument: str) -> str:
    return (query_value(facts.request.query, argument.encode()) or b"").decode("latin-1")


# --- times


def points(facts: RequestFacts) -> dict[str, float]:
    """The moments of a request that have come, by Envoy's names."""
    found = {"DS_RX_BEG": facts.began}
    if facts.received:
        found["DS_RX_END"] = facts.received
    call = facts.call
    if call is not None and call.sent_at:
        found["US_TX_BEG"] = call.sent_at
        if facts.received:
            found["US_TX_END"] = max(call.sent_at, facts.received)
        if facts.response is not None and facts.record.upstream_time >= 0.0:
            found["US_RX_BEG"] = call.sent_at + facts.record.upstream_time
    return found


def between(facts: RequestFacts, start: str, end: str) -> str:
    found = points(facts)
    return milliseconds(found[end] - found[start]) if start in found and end in found else ""


def common_duration(facts: RequestFacts, argument: str) -> str:
    start, end, unit = (*argument.split(":"), "ms")[:3]
    found = points(facts)
    if start not in found or end not in found:
        return ""
    return str(max(int((found[end] - found[start]) * UNITS.get(unit, 1e3)), 0))


# --- how it ended


def flags(facts: RequestFacts, argument: str) -> str:
    return FLAGS[facts.record.reasons] or "-"


def details(facts: RequestFacts, argument: str) -> str:
    """RESPONSE_CODE_DETAILS: Envoy's words for where the answer comes from."""
    reasons = facts.record.reasons
    if facts.response is None and not reasons:
        return ""
    return TEXTS[reasons[-1] if reasons else Reason.NONE].details


def grpc_status(facts: RequestFacts, argument: str) -> str:
    number = facts.record.grpc_status
    return grpc_name(number, argument) if number >= 0 else ""


# --- addresses


def port(address: str) -> str:
    number = port_of(address)
    return "" if number is None else str(number)


def remote(facts: RequestFacts) -> str:
    """The peer of the client's connection, whoever the client is."""
    return facts.peer or facts.record.downstream_remote


def upstream_host(facts: RequestFacts) -> str:
    return facts.record.upstream_host if facts.response is not None else ""


def attempted(facts: RequestFacts) -> list[str]:
    """The endpoints that were tried, the last one at the end."""
    call = facts.call
    return call.attempted() if call is not None and facts.response is not None else []


def nothing(facts: RequestFacts, argument: str) -> str:
    return ""


def sizes(lines: list[bytes]) -> str:
    """The bytes of a head's fields."""
    return str(sum(map(len, lines)))


#: The values by the variables' names; what is not here has none.
VALUES: Final[dict[str, Value]] = {
    "START_TIME": lambda facts, argument: moment(argument, facts.record.started),
    "START_TIME_LOCAL": lambda facts, argument: local_moment(argument, facts.record.started),
    "EMIT_TIME": lambda facts, argument: moment(argument, facts.wall),
    "EMIT_TIME_LOCAL": lambda facts, argument: local_moment(argument, facts.wall),
    "BYTES_RECEIVED": lambda facts, argument: str(facts.record.bytes_received),
    "BYTES_SENT": lambda facts, argument: "0",  # none before the head
    "BYTES_RETRANSMITTED": lambda facts, argument: "0",  # QUIC's
    "PACKETS_RETRANSMITTED": lambda facts, argument: "0",
    "PROTOCOL": lambda facts, argument: facts.record.protocol.decode(),
    "UPSTREAM_PROTOCOL": lambda facts, argument: facts.record.upstream_protocol.decode(),
    "RESPONSE_CODE": lambda facts, argument: str(facts.record.status),
    "RESPONSE_CODE_DETAILS": details,
    "RESPONSE_FLAGS": flags,
    "RESPONSE_FLAGS_LONG": lambda facts, argument: LONG_FLAGS[facts.record.reasons],
    "CONNECTION_TERMINATION_DETAILS": lambda facts, argument: facts.record.termination,
    "DURATION": lambda facts, argument: milliseconds(facts.now - facts.began),
    "REQUEST_DURATION": lambda facts, argument: between(facts, "DS_RX_BEG", "DS_RX_END"),
    "REQUEST_TX_DURATION": lambda facts, argument: between(facts, "DS_RX_BEG", "US_TX_END"),
    "RESPONSE_DURATION": lambda facts, argument: between(facts, "DS_RX_BEG", "US_RX_BEG"),
    "UPSTREAM_CONNECTION_POOL_READY_DURATION": lambda facts, argument: between(facts, "DS_RX_BEG", "US_TX_BEG"),
    "COMMON_DURATION": common_duration,
    "ROUTE_NAME": lambda facts, argument: facts.record.route_name,
    "UPSTREAM_HOST": lambda facts, argument: upstream_host(facts),
    "UPSTREAM_HOST_NAME": lambda facts, argument: upstream_host(facts),
    "UPSTREAM_HOST_NAME_WITHOUT_PORT": lambda facts, argument: host_of(upstream_host(facts)),
    "UPSTREAM_HOSTS_ATTEMPTED": lambda facts, argument: ",".join(attempted(facts)),
    "UPSTREAM_HOST_NAMES_ATTEMPTED": lambda facts, argument: ",".join(attempted(facts)),
    "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT": lambda facts, argument: ",".join(map(host_of, attempted(facts))),
    "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT": lambda facts, argument: ",".join(map(host_of, attempted(facts))),
    "UPSTREAM_CLUSTER": lambda facts, argument: facts.record.cluster.name if facts.record.cluster is not None else "",
    "UPSTREAM_CLUSTER_RAW": lambda facts, argument: (
        facts.record.cluster.name if facts.record.cluster is not None else ""
    ),
    "UPSTREAM_LOCAL_ADDRESS": lambda facts, argument: facts.record.upstream_local,
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(facts.record.upstream_local, argument),
    "UPSTREAM_LOCAL_PORT": lambda facts, argument: port(facts.record.upstream_local),
    "UPSTREAM_REMOTE_ADDRESS": lambda facts, argument: upstream_host(facts),
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(upstream_host(facts), argument),
    "UPSTREAM_REMOTE_PORT": lambda facts, argument: port(upstream_host(facts)),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda facts, argument: str(
        max(facts.record.attempts, 1) if facts.record.cluster is not None else 0
    ),
    "UPSTREAM_SERVER_NAME": lambda facts, argument: (facts.upstream.server_hostname or "") if facts.upstream else "",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda facts, argument: facts.record.transport_failure,
    "UPSTREAM_DETECTED_CLOSE_TYPE": lambda facts, argument: "Normal" if facts.response is not None else "",
    "DOWNSTREAM_DETECTED_CLOSE_TYPE": lambda facts, argument: "Normal",
    "DOWNSTREAM_REMOTE_ADDRESS": lambda facts, argument: facts.record.downstream_remote,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(
        facts.record.downstream_remote, argument
    ),
    "DOWNSTREAM_REMOTE_PORT": lambda facts, argument: port(facts.record.downstream_remote),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": lambda facts, argument: remote(facts),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(remote(facts), argument),
    "DOWNSTREAM_DIRECT_REMOTE_PORT": lambda facts, argument: port(remote(facts)),
    "DOWNSTREAM_LOCAL_ADDRESS": lambda facts, argument: facts.record.downstream_local,
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(
        facts.record.downstream_local, argument
    ),
    "DOWNSTREAM_LOCAL_PORT": lambda facts, argument: port(facts.record.downstream_local),
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS": lambda facts, argument: facts.record.downstream_local,
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT": lambda facts, argument: network_of(
        facts.record.downstream_local, argument
    ),
    "DOWNSTREAM_DIRECT_LOCAL_PORT": lambda facts, argument: port(facts.record.downstream_local),
    "REQUESTED_SERVER_NAME": lambda facts, argument: facts.record.sni,
    "REQUEST_HEADERS_BYTES": lambda facts, argument: sizes(facts.request.fields.lines),
    "RESPONSE_HEADERS_BYTES": lambda facts, argument: (
        sizes(facts.response.lines) if facts.response is not None else "0"
    ),
    "REQ": requested,
    "REQUEST_HEADER": requested,
    "RESP": responded,
    "RESPONSE_HEADER": responded,
    "PATH": path,
    "QUERY_PARAM": query_param,
    "QUERY_PARAMS": lambda facts, argument: facts.request.query.decode("latin-1"),
    "STREAM_ID": lambda facts, argument: facts.record.request_id.decode("latin-1"),
    "UNIQUE_ID": lambda facts, argument: facts.ids.next().decode() if facts.ids is not None else "",
    "HOSTNAME": lambda facts, argument: HOSTNAME,
    "ENVIRONMENT": lambda facts, argument: variable(argument.encode()).decode("utf-8", "replace") or "-",
    "GRPC_STATUS": grpc_status,
    "GRPC_STATUS_NUMBER": lambda facts, argument: grpc_status(facts, "NUMBER"),
    "ACCESS_LOG_TYPE": lambda facts, argument: "NotSet",
}


def tls_value(name: str) -> Value | None:
    """The value of what is told of a side's TLS."""
    side, _, what = name.partition("_")
    if not what.startswith(("TLS_", "PEER_")):
        return None
    if side == "DOWNSTREAM":
        return lambda facts, argument: of_connection(facts.security, what, argument)
    if side == "UPSTREAM":
        return lambda facts, argument: of_connection(facts.upstream, what, argument)
    return None


class Variable:
    """One variable of a template, found once."""

    __slots__ = ("_value", "_argument", "_length")

    def __init__(self, command: Command) -> None:
        name = command.name
        assert name in COMMANDS
        self._value: Value = VALUES.get(name) or tls_value(name) or nothing
        self._argument = command.argument
        self._length = command.length

    def value(self, facts: RequestFacts) -> bytes:
        """The value, as a field may hold it."""
        text = self._value(facts, self._argument)
        if self._length >= 0:
            text = text[: self._length]
        return text.encode("latin-1", "ignore")
