"""Envoy's command operators (docs: "Access logging", command operators), each as a Python expression over a record."""

from __future__ import annotations

import os
import socket
import time
from uuid import uuid4

import msgspec

from ..config.commands import UNITS, Command
from ..config.log_format import OF_FIELDS
from .labels import FLAGS, source_workload
from .moments import local_moment, moment
from .record import RequestRecord
from .values import (
    LONG_FLAGS,
    PRINTABLE,
    Destinations,
    Moments,
    between,
    details_of,
    grpc_name,
    host_of,
    network_of,
    port_of,
    query_of,
    trace_id,
    underscored,
)

#: No fields of a request or response.
NO_FIELDS: dict[bytes, bytes] = {}

#: What the expressions below may use. NONE is what a field without a value shows: `-` in text, null in JSON.
NAMES = {
    "text": PRINTABLE,
    "printable": PRINTABLE.make,
    "moments": Moments(),
    "moment": moment,
    "local_moment": local_moment,
    "flags": FLAGS,
    "long_flags": LONG_FLAGS,
    "details": details_of,
    "underscored": underscored,
    "now": time.time,
    "json": msgspec.json.encode,
    "grpc_name": grpc_name,
    "between": between,
    "trace_id": trace_id,
    "query_of": query_of,
    "host_of": host_of,
    "network_of": network_of,
    "port_of": port_of,
    "source": source_workload,
    "destination": Destinations().of,
    "unique": uuid4,
    "NO_FIELDS": NO_FIELDS,
    "RequestRecord": RequestRecord,
}

#: The expression of what has no value.
NO_VALUE = "NONE"

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

#: Operators of a time: the function that writes it by a format, and the time.
_TIMES = {
    "START_TIME": ("moment", "record.started"),
    "START_TIME_LOCAL": ("local_moment", "record.started"),
    "EMIT_TIME": ("moment", "now()"),
    "EMIT_TIME_LOCAL": ("local_moment", "now()"),
}

#: The fields by which TRACE_ID is found.
_TRACE_FIELDS = ("traceparent", "x-b3-traceid", "b3")

#: Operators as the expressions that give their values. Those that are missing here have none: `-`, as of an Envoy that
#: does not know it either.
_OPERATORS = {
    "START_TIME": "moments[record.started]",
    "START_TIME_LOCAL": "local_moment('', record.started)",
    "EMIT_TIME": "moments[now()]",
    "EMIT_TIME_LOCAL": "local_moment('', now())",
    "PROTOCOL": "text[record.protocol]",
    "UPSTREAM_PROTOCOL": "text[record.upstream_protocol] or NONE",
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
    "REQUEST_TX_DURATION": NO_VALUE,
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
    "STREAM_ID": "text[record.request_id] or NONE",
    "UNIQUE_ID": "str(unique())",
    "ACCESS_LOG_TYPE": "'DownstreamEnd'",
    "PATH": "text[record.original_path or record.path]",
    "QUERY_PARAMS": "text[(record.original_path or record.path).partition(b'?')[2]] or NONE",
    "SOURCE_WORKLOAD": "source(record.client)",
    "SOURCE_NAMESPACE": "record.client.namespace or NONE",
    "DESTINATION_WORKLOAD": "destination(record) or NONE",
    "RULE": "(str(record.rule) if record.rule is not None else '') or NONE",
}

#: Those of them that a TCP connection has no or another value of.
_OF_CONNECTIONS = {
    "PROTOCOL": NO_VALUE,
    "UPSTREAM_PROTOCOL": NO_VALUE,
    "RESPONSE_CODE": "0",
    "RESPONSE_CODE_DETAILS": NO_VALUE,
    "REQUEST_DURATION": NO_VALUE,
    "RESPONSE_DURATION": NO_VALUE,
    "RESPONSE_TX_DURATION": NO_VALUE,
    "COMMON_DURATION": NO_VALUE,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "0",
    "GRPC_STATUS": NO_VALUE,
    "GRPC_STATUS_NUMBER": NO_VALUE,
    "TRACE_ID": NO_VALUE,
    "ACCESS_LOG_TYPE": "'TcpConnectionEnd'",
    "PATH": NO_VALUE,
    "QUERY_PARAM": NO_VALUE,
    "QUERY_PARAMS": NO_VALUE,
    "STREAM_ID": NO_VALUE,
    **dict.fromkeys(OF_FIELDS, NO_VALUE),
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
    return " or ".join([*shown, NO_VALUE])


def with_argument(name: str, argument: str, wanted: Wanted) -> str:
    """The expression of an operator with an argument."""
    if name in ("REQ", "REQUEST_HEADER", "REQ_WITHOUT_QUERY"):
        found = header_expression(argument, _REQUEST_HEADERS, "fields", wanted.request)
        if name != "REQ_WITHOUT_QUERY":
            return found
        return f"(value.partition('?')[0] if isinstance(value := ({found}), str) else value)"
    if name in ("RESP", "RESPONSE_HEADER"):
        return header_expression(argument, _RESPONSE_HEADERS, "response_fields", wanted.response)
    if name in ("TRAILER", "RESPONSE_TRAILER"):
        return header_expression(argument, {}, "trailer_fields", wanted.trailers)
    if name in _TIMES:
        return f"{_TIMES[name][0]}({argument!r}, {_TIMES[name][1]})"
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
    if name.endswith("_WITHOUT_PORT"):
        return _OPERATORS[name].replace("host_of(", "network_of(").replace(") or", f", {argument!r}) or")
    if name == "ENVIRONMENT":
        return f"{os.environ.get(argument, '')!r} or NONE"
    return NO_VALUE


def expression(operator: Command, of_request: bool, wanted: Wanted) -> str:
    """The Python expression that gives a command operator's value for a request, or for a connection."""
    name = operator.name
    if not of_request and name in _OF_CONNECTIONS:
        found = _OF_CONNECTIONS[name]
    elif operator.argument:
        found = with_argument(name, operator.argument, wanted)
    elif name == "HOSTNAME":
        found = repr(socket.gethostname())
    else:
        found = _OPERATORS.get(name, NO_VALUE)
    if name == "TRACE_ID":
        wanted.request.update(field.encode() for field in _TRACE_FIELDS)
    if found == NO_VALUE:
        return NO_VALUE
    if operator.length < 0:
        return f"({found})"
    return f"(value[:{operator.length}] if isinstance(value := ({found}), str) else value)"
