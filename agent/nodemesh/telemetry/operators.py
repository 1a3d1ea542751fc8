"""Envoy's command operators (docs: "Access logging", command operators), each as a column of what it shows of records.

Records are logged in batches. A column's values are made in one go, which costs a record neither a call nor a look at
the format."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import uuid4

from ..config.commands import UNITS, Command
from ..config.log_format import OF_FIELDS
from .labels import FLAGS, source_workload
from .moments import local_moment, moment
from .record import ConnectionRecord, RequestRecord
from .values import (
    DETAILS,
    FIELD_LIMIT,
    LONG_FLAGS,
    PRINTABLE,
    SECONDS,
    Destinations,
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
NO_FIELDS: Final[dict[bytes, bytes]] = {}

#: What is shown where there is no value: `-` in text, null in JSON.
Missing = str | None

#: Gives a value for each record, or what is shown where there is none: text, and in JSON numbers, too.
Column = Callable[[Sequence[ConnectionRecord], Missing], list[Any]]
RequestColumn = Callable[[Sequence[RequestRecord], Missing], list[Any]]

DESTINATIONS: Final = Destinations()

#: How each of a second's milliseconds ends a moment.
FRACTIONS: Final = [f".{milliseconds:03d}Z" for milliseconds in range(1000)]

#: The fields by which TRACE_ID is found.
TRACE_FIELDS: Final = ("traceparent", "x-b3-traceid", "b3")


def no_value(records: Sequence[ConnectionRecord], none: Missing) -> list[Any]:
    """The column of what has no value."""
    return [none] * len(records)


def constant(value: str) -> Column:
    """The column of what is the same for all."""
    return lambda records, none: [value] * len(records)


def texts(values: list[bytes], none: Missing) -> list[Any]:
    """The values as `PRINTABLE` shows them, but not remembered: each record has another one."""
    found: list[Any] = []
    for value in values:
        text = value.decode("latin-1")
        if len(text) > FIELD_LIMIT or not text.isprintable() or '"' in text:
            text = PRINTABLE.make(value)
        found.append(text or none)
    return found


def paths(records: Sequence[RequestRecord], none: Missing) -> list[Any]:
    return texts([record.path for record in records], none)


def request_ids(records: Sequence[RequestRecord], none: Missing) -> list[Any]:
    return texts([record.request_id for record in records], none)


def numbers(values: list[int] | list[int | None], none: Missing) -> list[Any]:
    """Numbers are JSON's own in JSON, and digits in text."""
    if none is None:
        return values
    return [none if value is None else str(value) for value in values]


def moments(times: list[float]) -> list[str]:
    """Seconds since 1970 in ISO format with milliseconds: all that starts in one turn of the loop starts then."""
    found = []
    last, text = -1.0, ""
    for when in times:
        if when != last:
            second = int(when)
            last, text = when, SECONDS[second] + FRACTIONS[int((when - second) * 1000.0)]
        found.append(text)
    return found


def without_port(address: Callable[[ConnectionRecord], str]) -> Column:
    """The column of addresses without their ports."""
    return lambda records, none: [host_of(address(record)) or none for record in records]


def port(address: Callable[[ConnectionRecord], str]) -> Column:
    return lambda records, none: numbers([port_of(address(record)) for record in records], none)


def upstream_host(record: ConnectionRecord) -> str:
    return record.upstream_host


def upstream_local(record: ConnectionRecord) -> str:
    return record.upstream_local


def downstream_local(record: ConnectionRecord) -> str:
    return record.downstream_local


def downstream_remote(record: ConnectionRecord) -> str:
    return record.downstream_remote


def duration(start: str, end: str, unit: float) -> RequestColumn:
    """The column of the times between two points of a request."""
    return lambda records, none: numbers([between(record, start, end, unit) for record in records], none)


def clusters(records: Sequence[ConnectionRecord], none: Missing) -> list[Any]:
    return [record.cluster.name if record.cluster is not None else none for record in records]


#: The addresses that operators show, whole, in parts or as their network.
ADDRESSES: Final[dict[str, Callable[[ConnectionRecord], str]]] = {
    "UPSTREAM_HOST_NAME": upstream_host,
    "UPSTREAM_REMOTE_ADDRESS": upstream_host,
    "UPSTREAM_LOCAL_ADDRESS": upstream_local,
    "DOWNSTREAM_LOCAL_ADDRESS": downstream_local,
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS": downstream_local,
    "DOWNSTREAM_REMOTE_ADDRESS": downstream_remote,
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": downstream_remote,
}
WITHOUT_PORT: Final = "_WITHOUT_PORT"

#: Operators whose values are those of any record. Those that are missing have none: `-`, as of an Envoy that does not
#: know it either.
COLUMNS: Final[dict[str, Column]] = {
    "START_TIME": lambda records, none: moments([record.started for record in records]),
    "START_TIME_LOCAL": lambda records, none: [local_moment("", record.started) for record in records],
    "EMIT_TIME": lambda records, none: moments([time.time()] * len(records)),
    "EMIT_TIME_LOCAL": lambda records, none: [local_moment("", time.time()) for record in records],
    "RESPONSE_FLAGS": lambda records, none: [FLAGS[record.reasons] or "-" for record in records],
    "RESPONSE_FLAGS_LONG": lambda records, none: [LONG_FLAGS[record.reasons] for record in records],
    "CONNECTION_TERMINATION_DETAILS": lambda records, none: [record.termination or none for record in records],
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda records, none: [
        underscored(record.transport_failure) if record.transport_failure else none for record in records
    ],
    "BYTES_RECEIVED": lambda records, none: numbers([record.bytes_received for record in records], none),
    "BYTES_SENT": lambda records, none: numbers([record.bytes_sent for record in records], none),
    "DURATION": lambda records, none: numbers(
        [int(record.duration * 1000.0) if record.duration >= 0.0 else None for record in records], none
    ),
    "UPSTREAM_HOST": lambda records, none: [record.upstream_host or none for record in records],
    "UPSTREAM_HOST_NAME": lambda records, none: [record.upstream_host or none for record in records],
    "UPSTREAM_REMOTE_ADDRESS": lambda records, none: [record.upstream_host or none for record in records],
    "UPSTREAM_CLUSTER": clusters,
    "UPSTREAM_CLUSTER_RAW": clusters,
    "UPSTREAM_LOCAL_ADDRESS": lambda records, none: [record.upstream_local or none for record in records],
    "DOWNSTREAM_LOCAL_ADDRESS": lambda records, none: [record.downstream_local or none for record in records],
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS": lambda records, none: [record.downstream_local or none for record in records],
    "DOWNSTREAM_REMOTE_ADDRESS": lambda records, none: [record.downstream_remote or none for record in records],
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": lambda records, none: [record.downstream_remote or none for record in records],
    "REQUESTED_SERVER_NAME": lambda records, none: [record.sni or none for record in records],
    "ROUTE_NAME": lambda records, none: [record.route_name or none for record in records],
    "UNIQUE_ID": lambda records, none: [str(uuid4()) for record in records],
    "SOURCE_WORKLOAD": lambda records, none: [source_workload(record.client) for record in records],
    "SOURCE_NAMESPACE": lambda records, none: [record.client.namespace or none for record in records],
    "DESTINATION_WORKLOAD": lambda records, none: [DESTINATIONS.of(record) or none for record in records],
    "RULE": lambda records, none: [str(record.rule) if record.rule is not None else none for record in records],
    "HOSTNAME": constant(socket.gethostname()),
    **{name + WITHOUT_PORT: without_port(address) for name, address in ADDRESSES.items()},
    **{name.replace("_ADDRESS", "_PORT"): port(address) for name, address in ADDRESSES.items() if "_ADDRESS" in name},
}

#: Those that only a request has.
REQUEST_COLUMNS: Final[dict[str, RequestColumn]] = {
    "PROTOCOL": lambda records, none: [PRINTABLE[record.protocol] for record in records],
    "UPSTREAM_PROTOCOL": lambda records, none: [PRINTABLE[record.upstream_protocol] or none for record in records],
    "RESPONSE_CODE": lambda records, none: numbers([record.status for record in records], none),
    "RESPONSE_CODE_DETAILS": lambda records, none: [
        details_of(record) if record.transport_failure else DETAILS[record.reasons] for record in records
    ],
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda records, none: numbers([record.attempts for record in records], none),
    "GRPC_STATUS": lambda records, none: [
        grpc_name(record.grpc_status, "CAMEL_STRING") if record.grpc_status >= 0 else none for record in records
    ],
    "GRPC_STATUS_NUMBER": lambda records, none: numbers(
        [record.grpc_status if record.grpc_status >= 0 else None for record in records], none
    ),
    "TRACE_ID": lambda records, none: [trace_id(record) or none for record in records],
    "STREAM_ID": request_ids,
    "PATH": lambda records, none: [PRINTABLE[record.original_path or record.path] for record in records],
    "QUERY_PARAMS": lambda records, none: [
        PRINTABLE[(record.original_path or record.path).partition(b"?")[2]] or none for record in records
    ],
    "REQUEST_DURATION": duration("DS_RX_BEG", "DS_RX_END", 1e3),
    "RESPONSE_DURATION": duration("DS_RX_BEG", "US_RX_BEG", 1e3),
    "RESPONSE_TX_DURATION": duration("US_RX_BEG", "DS_TX_END", 1e3),
    "ACCESS_LOG_TYPE": constant("DownstreamEnd"),
}

#: Those that a connection has another value of.
CONNECTION_COLUMNS: Final[dict[str, Column]] = {
    "RESPONSE_CODE": lambda records, none: numbers([0] * len(records), none),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda records, none: numbers([0] * len(records), none),
    "ACCESS_LOG_TYPE": constant("TcpConnectionEnd"),
}

#: Fields of a request that are recorded anyway.
REQUEST_FIELDS: Final[dict[str, RequestColumn]] = {
    ":METHOD": lambda records, none: [PRINTABLE[record.method] or none for record in records],
    ":PATH": paths,
    ":AUTHORITY": lambda records, none: [PRINTABLE[record.authority] or none for record in records],
    "HOST": lambda records, none: [PRINTABLE[record.authority] or none for record in records],
    "X-ENVOY-ORIGINAL-PATH": lambda records, none: [PRINTABLE[record.original_path] or none for record in records],
    "X-FORWARDED-FOR": lambda records, none: [PRINTABLE[record.forwarded_for] or none for record in records],
    "USER-AGENT": lambda records, none: [PRINTABLE[record.user_agent] or none for record in records],
    "X-REQUEST-ID": request_ids,
}

#: And of a response.
RESPONSE_FIELDS: Final[dict[str, RequestColumn]] = {
    "X-ENVOY-UPSTREAM-SERVICE-TIME": lambda records, none: [
        str(int(record.upstream_time * 1000.0)) if record.upstream_time >= 0.0 else none for record in records
    ],
    ":STATUS": lambda records, none: [str(record.status) for record in records],
}

#: Operators that show fields of a request, of its response, and of the response's trailers.
OF_REQUEST: Final = ("REQ", "REQUEST_HEADER", "REQ_WITHOUT_QUERY")
OF_RESPONSE: Final = ("RESP", "RESPONSE_HEADER")

#: Operators of a time: how it is written in a format, and whether it is now.
TIMES: Final[dict[str, tuple[Callable[[str, float], str], bool]]] = {
    "START_TIME": (moment, False),
    "START_TIME_LOCAL": (local_moment, False),
    "EMIT_TIME": (moment, True),
    "EMIT_TIME_LOCAL": (local_moment, True),
}


class ShownFields:
    """The names of fields that a format shows and that are not recorded anyway, in lower case."""

    __slots__ = ("request", "response", "trailers")

    def __init__(self) -> None:
        self.request: set[bytes] = set()
        self.response: set[bytes] = set()
        self.trailers: set[bytes] = set()


def fields_column(name: str, argument: str, wanted: ShownFields) -> RequestColumn:
    """The column of REQ, RESP or TRAILER: the first of the named fields that is there."""
    column, *others = [field_column(name, field, wanted) for field in argument.upper().split("?")]
    return other_where_missing(column, others[0]) if others else column


def other_where_missing(column: RequestColumn, other: RequestColumn) -> RequestColumn:
    """The column of what `column` shows, and where that has no value `other`."""
    return lambda records, none: [
        value if value is not None else stand_in
        for value, stand_in in zip(column(records, None), other(records, none), strict=True)
    ]


def field_column(operator: str, name: str, wanted: ShownFields) -> RequestColumn:
    """The column of one field. Where it is not recorded anyway, it becomes `wanted`."""
    key = name.lower().encode()
    if operator in OF_REQUEST:
        if name in REQUEST_FIELDS:
            return REQUEST_FIELDS[name]
        wanted.request.add(key)
        return lambda records, none: [
            PRINTABLE[(record.fields or NO_FIELDS).get(key, b"")] or none for record in records
        ]
    if operator in OF_RESPONSE:
        if name in RESPONSE_FIELDS:
            return RESPONSE_FIELDS[name]
        wanted.response.add(key)
        return lambda records, none: [
            PRINTABLE[(record.response_fields or NO_FIELDS).get(key, b"")] or none for record in records
        ]
    wanted.trailers.add(key)
    return lambda records, none: [
        PRINTABLE[(record.trailer_fields or NO_FIELDS).get(key, b"")] or none for record in records
    ]


def without_query(column: RequestColumn) -> RequestColumn:
    return lambda records, none: [
        value.partition("?")[0] if isinstance(value, str) else value for value in column(records, none)
    ]


def time_column(name: str, pattern: str) -> Column:
    """The column of a time in a format of strftime."""
    write, now = TIMES[name]
    return lambda records, none: [write(pattern, time.time() if now else record.started) for record in records]


def network_column(name: str, length: str) -> Column:
    """The column of an address without its port, as a network of so many bits."""
    address = ADDRESSES[name.removesuffix(WITHOUT_PORT)]
    return lambda records, none: [network_of(address(record), length) or none for record in records]


def path_column(argument: str) -> RequestColumn:
    """The column of PATH in one of Envoy's forms: with its query or without, as it is or as it was."""
    query, _, which = argument.partition(":")
    column = paths if which == "PATH" else REQUEST_COLUMNS["PATH"]
    return without_query(column) if query == "NQ" else column


def query_column(name: bytes) -> RequestColumn:
    """The column of a query's parameter."""
    return lambda records, none: [
        PRINTABLE[query_of(record.original_path or record.path, name)] or none for record in records
    ]


def grpc_column(form: str) -> RequestColumn:
    return lambda records, none: [
        grpc_name(record.grpc_status, form) if record.grpc_status >= 0 else none for record in records
    ]


def with_argument(name: str, argument: str) -> Column:
    """The column of an operator of any record with an argument."""
    if name in TIMES:
        return time_column(name, argument)
    if name.endswith(WITHOUT_PORT):
        return network_column(name, argument)
    if name == "ENVIRONMENT":
        value = os.environ.get(argument, "")
        return lambda records, none: [value or none] * len(records)
    return no_value


def request_with_argument(name: str, argument: str) -> RequestColumn:
    """The column of an operator of requests with an argument that names no fields."""
    if name == "GRPC_STATUS":
        return grpc_column(argument)
    if name == "COMMON_DURATION":
        start, end, unit = (*argument.split(":"), "ms")[:3]
        return duration(start, end, UNITS[unit])
    if name == "QUERY_PARAM":
        return query_column(argument.encode())
    if name == "PATH":
        return path_column(argument)
    return with_argument(name, argument)


def request_column(operator: Command, wanted: ShownFields) -> RequestColumn:
    """What an operator shows of requests."""
    name, argument = operator.name, operator.argument
    if name == "TRACE_ID":
        wanted.request.update([field.encode() for field in TRACE_FIELDS])
    if name in OF_FIELDS:
        column = fields_column(name, argument, wanted)
        if name == "REQ_WITHOUT_QUERY":
            column = without_query(column)
    elif argument:
        column = request_with_argument(name, argument)
    else:
        column = REQUEST_COLUMNS.get(name) or COLUMNS.get(name, no_value)
    return column if operator.length < 0 else cut(column, operator.length)


def connection_column(operator: Command) -> Column:
    """What an operator shows of TCP connections."""
    name, argument = operator.name, operator.argument
    found = with_argument(name, argument) if argument else CONNECTION_COLUMNS.get(name) or COLUMNS.get(name, no_value)
    return found if operator.length < 0 else cut(found, operator.length)


def cut(column: Callable[[Any, Missing], list[Any]], length: int) -> Callable[[Any, Missing], list[Any]]:
    """A column whose texts have no more characters than that."""
    return lambda records, none: [
        value[:length] if isinstance(value, str) else value for value in column(records, none)
    ]
