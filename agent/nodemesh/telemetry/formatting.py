"""Envoy's command operators (docs: "Access logging", command operators) over a request's record."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from uuid import uuid4

import msgspec

from ..config.log_format import UNITS, Operator, formats, operators
from ..reasons import TEXTS, Reason
from ..routing.decision import Cluster
from .labels import FLAGS, endpoint_of, source_workload, workload_of
from .memo import LIMIT, Memo
from .record import ConnectionRecord, RequestRecord

#: Istio's default text format (pilot/pkg/model: EnvoyTextLogFormat).
DEFAULT_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

#: Istio's default JSON format: key -> operator; and who asked and answered.
DEFAULT_JSON = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    # ours: all pods of a node share one log
    "source_workload": "%SOURCE_WORKLOAD%",
    "source_namespace": "%SOURCE_NAMESPACE%",
    "destination_workload": "%DESTINATION_WORKLOAD%",
}

#: Bytes of one field that a line shows: a client or an upstream decides on them.
FIELD_LIMIT = 4096


class Printable(Memo[bytes, str]):
    """Bytes of a client as a line may hold them: no control characters, no quote that would end the field, not too
    many."""

    def make(self, key: bytes) -> str:
        text = key.decode("latin-1") if len(key) <= FIELD_LIMIT else key[:FIELD_LIMIT].decode("latin-1") + "..."
        if text.isprintable() and '"' not in text:
            return text
        return "".join(char if char.isprintable() and char != '"' else f"\\x{ord(char):02x}" for char in text)


class Seconds(Memo[int, str]):
    """A second since 1970 in ISO format."""

    def make(self, key: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(key))


SECONDS = Seconds()


class Moments(Memo[float, str]):
    """Seconds since 1970 in ISO format with milliseconds: all that starts in one turn of the loop starts then."""

    def make(self, key: float) -> str:
        return f"{SECONDS[int(key)]}.{int(key % 1.0 * 1000.0):03d}Z"


class Details(Memo[tuple[Reason, ...], str]):
    """Envoy's words for how a request ended: its last reason's."""

    def make(self, key: tuple[Reason, ...]) -> str:
        return TEXTS[key[-1] if key else Reason.NONE].details


DETAILS = Details()


def details_of(record: ConnectionRecord) -> str:
    """RESPONSE_CODE_DETAILS: where no connection was made, with the reason of that (Envoy joins them with `|`)."""
    details = DETAILS[record.reasons]
    if record.transport_failure and record.reasons[-1:] == (Reason.UPSTREAM_CONNECTION_FAILURE,):
        return f"{details[:-1]}|{underscored(record.transport_failure)}}}"
    return details


def underscored(text: str) -> str:
    """A sentence as one word, as Envoy's log has it."""
    return text.replace(" ", "_")


#: Envoy's long names of its response flags (its CORE_RESPONSE_FLAGS).
LONG_FLAGS = {
    "UH": "NoHealthyUpstream",
    "UT": "UpstreamRequestTimeout",
    "UR": "UpstreamRemoteReset",
    "UF": "UpstreamConnectionFailure",
    "UC": "UpstreamConnectionTermination",
    "UO": "UpstreamOverflow",
    "NR": "NoRouteFound",
    "DI": "DelayInjected",
    "FI": "FaultInjected",
    "DC": "DownstreamConnectionTermination",
    "URX": "UpstreamRetryLimitExceeded",
    "SI": "StreamIdleTimeout",
    "DPE": "DownstreamProtocolError",
    "DT": "DurationTimeout",
    "UPE": "UpstreamProtocolError",
    "NC": "NoClusterFound",
}


class LongFlags(Memo[tuple[Reason, ...], str]):
    """RESPONSE_FLAGS_LONG."""

    def make(self, key: tuple[Reason, ...]) -> str:
        return ",".join([LONG_FLAGS[flag] for flag in FLAGS[key].split(",") if flag]) or "-"


#: gRPC's names of its statuses (its `Status` codes), by number.
GRPC_NAMES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip


def grpc_name(status: int, form: str) -> str:
    """GRPC_STATUS in one of Envoy's forms: CAMEL_STRING, SNAKE_STRING, NUMBER."""
    if form == "NUMBER" or status >= len(GRPC_NAMES):
        return str(status)
    name = GRPC_NAMES[status]
    if form == "SNAKE_STRING":
        return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper()
    return name


def point(record: RequestRecord, name: str) -> float:
    """Seconds from the request's beginning to one of COMMON_DURATION's points, -1 where it was never reached, or is not
    recorded. What has come is passed on in the same turn of the loop."""
    if name == "DS_RX_BEG":
        return 0.0
    if name == "DS_RX_END":
        return record.received_at
    if name in ("US_RX_BEG", "US_RX_BODY_BEG", "DS_TX_BEG"):
        return record.answered_at
    if name == "US_TX_BEG" and record.answered_at >= 0.0 and record.upstream_time >= 0.0:
        return record.answered_at - record.upstream_time
    if name == "DS_TX_END" or (name == "US_RX_END" and record.answered_at >= 0.0):
        return record.duration
    return -1.0


def between(record: RequestRecord, start: str, end: str, unit: float) -> int | None:
    """COMMON_DURATION."""
    first, last = point(record, start), point(record, end)
    return int((last - first) * unit) if first >= 0.0 and last >= first else None


def trace_id(record: RequestRecord) -> str:
    """The trace that the request belongs to, by W3C's header or by B3's, single or many."""
    fields = record.fields
    if fields is None:
        return ""
    parts = fields.get(b"traceparent", b"").split(b"-")
    if len(parts) >= 4 and len(parts[1]) == 32:
        return parts[1].decode("latin-1")
    found = fields.get(b"x-b3-traceid") or fields.get(b"b3", b"").partition(b"-")[0]
    return PRINTABLE[found] if len(found) in (16, 32) else ""


def query_of(path: bytes, name: bytes) -> bytes:
    """The value of a parameter in a path's query, as it was sent."""
    for part in path.partition(b"?")[2].split(b"&"):
        key, _, value = part.partition(b"=")
        if key == name:
            return value
    return b""


def start_time(pattern: str, started: float) -> str:
    """START_TIME in a format of strftime, with %3f for the milliseconds."""
    text = time.strftime(pattern.replace("%3f", "{milliseconds}"), time.gmtime(started))
    return text.replace("{milliseconds}", f"{int(started % 1 * 1000):03d}")


def host_of(address: str) -> str:
    """An address without its port; of a socket's path all."""
    host, found, port = address.rpartition(":")
    return host if found and port.isdigit() else address


def port_of(address: str) -> int | None:
    """An address' port."""
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else None


class Destinations(dict[tuple[str, str], tuple[Cluster, str]]):
    """The workloads behind the endpoints of clusters, by the cluster's name and `address:port`."""

    __slots__ = ()

    def of(self, record: ConnectionRecord) -> str:
        """The destination's workload, empty where none is known."""
        cluster = record.cluster
        if cluster is None or not record.upstream_host:
            return ""
        key = (cluster.name, record.upstream_host)
        known = self.get(key)
        if known is not None and known[0] is cluster:
            return known[1]
        endpoint = endpoint_of(cluster, record.upstream_host)
        name = workload_of(endpoint) if endpoint is not None else ""
        if len(self) >= LIMIT:
            self.clear()
        self[key] = (cluster, name)
        return name


PRINTABLE = Printable()

#: No fields of a request or response.
NO_FIELDS: dict[bytes, bytes] = {}

#: What the expressions below may use. NONE is what a field without a value shows: `-` in text, null in JSON.
_NAMES = {
    "text": PRINTABLE,
    "printable": PRINTABLE.make,
    "moment": Moments(),
    "flags": FLAGS,
    "long_flags": LongFlags(),
    "details": details_of,
    "underscored": underscored,
    "start_time": start_time,
    "now": time.time,
    "json": msgspec.json.encode,
    "grpc_name": grpc_name,
    "between": between,
    "trace_id": trace_id,
    "query_of": query_of,
    "host_of": host_of,
    "port_of": port_of,
    "source": source_workload,
    "destination": Destinations().of,
    "unique": uuid4,
    "NO_FIELDS": NO_FIELDS,
    "RequestRecord": RequestRecord,
}

#: The expression of what has no value.
_NONE = "NONE"

#: Fields of the request that are recorded anyway, as Python expressions over its record; empty where there is none.
_REQUEST_HEADERS = {
    ":METHOD": "text[record.method]",
    ":PATH": "text[record.path]",
    ":AUTHORITY": "text[record.authority]",
    "HOST": "text[record.authority]",
    "X-ENVOY-ORIGINAL-PATH": "text[record.original_path]",
    "X-FORWARDED-FOR": "text[record.forwarded_for]",
    "USER-AGENT": "text[record.user_agent]",
    "X-REQUEST-ID": "printable(record.request_id)",
}

#: And of the response.
_RESPONSE_HEADERS = {
    "X-ENVOY-UPSTREAM-SERVICE-TIME": "(str(int(record.upstream_time * 1000.0)) if record.upstream_time >= 0.0 else '')",
    ":STATUS": "record.status",
}

#: The fields by which TRACE_ID is found.
_TRACE_FIELDS = ("traceparent", "x-b3-traceid", "b3")

#: Operators as the expressions that give their values. Those that are missing here have none: `-`, as of an Envoy that
#: does not know it either.
_OPERATORS = {
    "START_TIME": "moment[record.started]",
    "EMIT_TIME": "moment[now()]",
    "PROTOCOL": "text[record.protocol]",
    "UPSTREAM_PROTOCOL": "text[record.protocol] if record.upstream_host else NONE",
    "RESPONSE_CODE": "record.status",
    "RESPONSE_FLAGS": "flags[record.reasons] or '-'",
    "RESPONSE_FLAGS_LONG": "long_flags[record.reasons]",
    "RESPONSE_CODE_DETAILS": "details(record)",
    "CONNECTION_TERMINATION_DETAILS": "record.termination or NONE",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "underscored(record.transport_failure) if record.transport_failure else NONE",
    "BYTES_RECEIVED": "record.bytes_received",
    "BYTES_SENT": "record.bytes_sent",
    "DURATION": "int(record.duration * 1000.0) if record.duration >= 0.0 else NONE",
    "REQUEST_DURATION": "none_or(between(record, 'DS_RX_BEG', 'DS_RX_END', 1e3))",
    "RESPONSE_DURATION": "none_or(between(record, 'DS_RX_BEG', 'US_RX_BEG', 1e3))",
    "RESPONSE_TX_DURATION": "none_or(between(record, 'US_RX_BEG', 'DS_TX_END', 1e3))",
    "REQUEST_TX_DURATION": _NONE,
    "UPSTREAM_HOST": "record.upstream_host or NONE",
    "UPSTREAM_HOST_NAME": "record.upstream_host or NONE",
    "UPSTREAM_HOST_NAME_WITHOUT_PORT": "host_of(record.upstream_host) or NONE",
    "UPSTREAM_REMOTE_ADDRESS": "record.upstream_host or NONE",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "host_of(record.upstream_host) or NONE",
    "UPSTREAM_REMOTE_PORT": "none_or(port_of(record.upstream_host))",
    "UPSTREAM_CLUSTER": "record.cluster.name if record.cluster is not None else NONE",
    "UPSTREAM_CLUSTER_RAW": "record.cluster.name if record.cluster is not None else NONE",
    "UPSTREAM_LOCAL_ADDRESS": "record.upstream_local or NONE",
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": "host_of(record.upstream_local) or NONE",
    "UPSTREAM_LOCAL_PORT": "none_or(port_of(record.upstream_local))",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "record.attempts",
    "DOWNSTREAM_LOCAL_ADDRESS": "record.downstream_local or NONE",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": "host_of(record.downstream_local) or NONE",
    "DOWNSTREAM_LOCAL_PORT": "none_or(port_of(record.downstream_local))",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS": "record.downstream_local or NONE",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT": "host_of(record.downstream_local) or NONE",
    "DOWNSTREAM_REMOTE_ADDRESS": "record.downstream_remote or NONE",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "host_of(record.downstream_remote) or NONE",
    "DOWNSTREAM_REMOTE_PORT": "none_or(port_of(record.downstream_remote))",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": "record.downstream_remote or NONE",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": "host_of(record.downstream_remote) or NONE",
    "DOWNSTREAM_DIRECT_REMOTE_PORT": "none_or(port_of(record.downstream_remote))",
    "REQUESTED_SERVER_NAME": "record.sni or NONE",
    "ROUTE_NAME": "record.route_name or NONE",
    "GRPC_STATUS": "grpc_name(record.grpc_status, 'CAMEL_STRING') if record.grpc_status >= 0 else NONE",
    "GRPC_STATUS_NUMBER": "record.grpc_status if record.grpc_status >= 0 else NONE",
    "TRACE_ID": "trace_id(record) or NONE",
    "UNIQUE_ID": "str(unique())",
    "ACCESS_LOG_TYPE": "'DownstreamEnd'",
    "PATH": "text[record.original_path or record.path]",
    "SOURCE_WORKLOAD": "source(record.client)",
    "SOURCE_NAMESPACE": "record.client.namespace or NONE",
    "DESTINATION_WORKLOAD": "destination(record) or NONE",
    "RULE": "(str(record.rule) if record.rule is not None else '') or NONE",
}

#: Those of them that a TCP connection has no or another value of.
_OF_CONNECTIONS = {
    "PROTOCOL": _NONE,
    "UPSTREAM_PROTOCOL": _NONE,
    "RESPONSE_CODE": "0",
    "RESPONSE_CODE_DETAILS": _NONE,
    "REQUEST_DURATION": _NONE,
    "RESPONSE_DURATION": _NONE,
    "RESPONSE_TX_DURATION": _NONE,
    "COMMON_DURATION": _NONE,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "0",
    "GRPC_STATUS": _NONE,
    "GRPC_STATUS_NUMBER": _NONE,
    "TRACE_ID": _NONE,
    "ACCESS_LOG_TYPE": "'TcpConnectionEnd'",
    "PATH": _NONE,
    "QUERY_PARAM": _NONE,
    "REQ": _NONE,
    "REQ_WITHOUT_QUERY": _NONE,
    "RESP": _NONE,
    "TRAILER": _NONE,
}


class Wanted:
    """The names of fields that a format shows and that are not recorded anyway, in lower case."""

    __slots__ = ("request", "response", "trailers")

    def __init__(self) -> None:
        self.request: set[bytes] = set()
        self.response: set[bytes] = set()
        self.trailers: set[bytes] = set()


def header_expression(argument: str, recorded: dict[str, str], held: str, wanted: set[bytes]) -> str:
    """The expression of REQ, RESP or TRAILER: the first of the named fields that is there. `held` is the record's slot
    for those that are kept because they are `wanted`."""
    shown = []
    for name in argument.upper().split("?"):
        if name in recorded:
            shown.append(recorded[name])
        else:
            wanted.add(name.lower().encode())
            shown.append(f"text[(record.{held} or NO_FIELDS).get({name.lower().encode()!r}, b'')]")
    return " or ".join([*shown, _NONE])


def with_argument(name: str, argument: str, wanted: Wanted) -> str:
    """The expression of an operator with an argument."""
    if name in ("REQ", "REQ_WITHOUT_QUERY"):
        found = header_expression(argument, _REQUEST_HEADERS, "fields", wanted.request)
        if name == "REQ":
            return found
        return f"(value.partition('?')[0] if isinstance(value := ({found}), str) else value)"
    if name == "RESP":
        return header_expression(argument, _RESPONSE_HEADERS, "response_fields", wanted.response)
    if name == "TRAILER":
        return header_expression(argument, {}, "trailer_fields", wanted.trailers)
    if name in ("START_TIME", "EMIT_TIME"):
        return f"start_time({argument!r}, {'record.started' if name == 'START_TIME' else 'now()'})"
    if name == "GRPC_STATUS":
        return f"grpc_name(record.grpc_status, {argument!r}) if record.grpc_status >= 0 else NONE"
    if name == "COMMON_DURATION":
        start, end, unit = (*argument.split(":"), "ms")[:3]
        return f"none_or(between(record, {start!r}, {end!r}, {UNITS[unit]!r}))"
    if name == "QUERY_PARAM":
        return f"text[query_of(record.original_path or record.path, {argument.encode()!r})] or NONE"
    if name == "PATH":
        query, _, which = argument.partition(":")
        path = "record.path" if which == "PATH" else "(record.original_path or record.path)"
        return f"text[{path}]" if query != "NQ" else f"text[{path}.partition(b'?')[0]]"
    if name == "ENVIRONMENT":
        return f"{os.environ.get(argument, '')!r} or NONE"
    return _NONE


def expression(operator: Operator, of_request: bool, wanted: Wanted) -> str:
    """The Python expression that gives a command operator's value for a request, or for a connection."""
    name = operator.name
    if not of_request and name in _OF_CONNECTIONS:
        found = _OF_CONNECTIONS[name]
    elif operator.argument is not None:
        found = with_argument(name, operator.argument, wanted)
    elif name == "HOSTNAME":
        found = repr(socket.gethostname())
    else:
        found = _OPERATORS.get(name, _NONE)
    if name == "TRACE_ID":
        wanted.request.update(field.encode() for field in _TRACE_FIELDS)
    if found == _NONE:
        return _NONE
    if operator.length is None:
        return f"({found})"
    return f"(value[:{operator.length}] if isinstance(value := ({found}), str) else value)"


def parse(text: str, of_request: bool, wanted: Wanted) -> tuple[list[str], list[str]]:
    """A format as the texts around its values, one more than those, and the values' expressions. Raises FormatError."""
    texts = [""]
    expressions: list[str] = []
    end = 0
    for operator in operators(text):
        texts[-1] += text[end : operator.start]
        end = operator.end
        if not operator.name:
            texts[-1] += "%"
            continue
        texts.append("")
        expressions.append(expression(operator, of_request, wanted))
    texts[-1] += text[end:]
    return texts, expressions


def joined(texts: list[str], expressions: list[str]) -> str:
    """The expression of a whole text, in which a dash stands for what has no value."""
    template = texts[0].replace("%", "%%")
    shown: list[str] = []
    for value, text in zip(expressions, texts[1:], strict=True):
        if value == _NONE:
            template += "-"
        else:
            template += "%s"
            shown.append(value)
        template += text.replace("%", "%%")
    return f"({template!r} % ({''.join(f'{value}, ' for value in shown)}))"


def compiled(of_request: str, of_connection: str, none: str | None) -> Callable[[ConnectionRecord], bytes]:
    """A function of a record of either kind. The sources are made of the tables above and of literals, nothing else."""
    source = f"lambda record: {of_request} if isinstance(record, RequestRecord) else {of_connection}"

    def none_or(value: int | None) -> int | str | None:
        return none if value is None else value

    function: Callable[[ConnectionRecord], bytes] = eval(source, {**_NAMES, _NONE: none, "none_or": none_or})
    return function


class Formatter:
    """Makes lines out of records: `line` gives one with its line feed. It is one Python function made of the format: a
    line costs no more than its values. `wanted` are the fields that records have to hold for it."""

    __slots__ = ("line", "wanted")

    def __init__(self, text: str = "", *, json: bool = False) -> None:
        """`text` is a text format, or with `json` an object of formats by key; empty stands for Istio's default.
        Raises FormatError."""
        expression_of = json_expression if json else text_expression
        self.wanted = Wanted()
        of_request, of_connection = (expression_of(text, each, self.wanted) for each in (True, False))
        self.line = compiled(of_request, of_connection, None if json else "-")


def text_expression(text: str, of_request: bool, wanted: Wanted) -> str:
    """The expression of a text format's line."""
    texts, expressions = parse(text or DEFAULT_TEXT, of_request, wanted)
    if not texts[-1].endswith("\n"):
        texts[-1] += "\n"
    return f"{joined(texts, expressions)}.encode()"


def json_expression(text: str, of_request: bool, wanted: Wanted) -> str:
    """The expression of a JSON format's line: an operator that stands alone keeps its type."""
    members: list[str] = []
    for key, value in (formats(text, True) if text else DEFAULT_JSON).items():
        texts, expressions = parse(value, of_request, wanted)
        if texts == ["", ""]:
            members.append(f"{key!r}: {expressions[0]}")
        else:
            shown = [
                each if each == _NONE else f"('-' if (value := {each}) is None else value)" for each in expressions
            ]
            members.append(f"{key!r}: {joined(texts, shown)}")
    return "json({" + ", ".join(members) + "}) + b'\\n'"
