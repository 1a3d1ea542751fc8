"""Expressions of CEL over a record: what a filter of the access log asks, and what a metric's label gets.

What a record does not have is an error to CEL, by which a filter is false; `&&` and `||` go by the side that decides.
A response that never came has the code 0, as in the log, though `has(response.code)` is false of it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from ..config.cel import CelNode, parse_filter, parse_value
from ..config.regex import Pattern
from .record import ConnectionRecord, RequestRecord
from .values import DETAILS, port_of

Value = Callable[[ConnectionRecord], Any]


class Absent(Exception):
    """The record has no such value, or one that cannot be read so."""


def condition(text: str) -> Callable[[ConnectionRecord], bool]:
    """Whether a filter lets a record be logged. Raises CelError."""
    value = _value(parse_filter(text))

    def holds(record: ConnectionRecord) -> bool:
        try:
            return bool(value(record))
        except Absent:
            return False

    return holds


def text_of(text: str, otherwise: str) -> Callable[[ConnectionRecord], str]:
    """What an expression comes to, as a text. Raises CelError."""
    value = _value(parse_value(text))

    def shown(record: ConnectionRecord) -> str:
        try:
            return _shown(value(record))
        except Absent:
            return otherwise

    return shown


def is_constant(text: str) -> bool:
    """Whether an expression says the same of every record."""
    rest = [parse_value(text)]
    while rest:
        node = rest.pop()
        if node.name == "attribute":
            return False
        rest.extend(node.parts)
    return True


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- attributes


def _request(get: Callable[[RequestRecord], bytes | str | int]) -> Value:
    """Of requests alone; no text is no value."""

    def value(record: ConnectionRecord) -> Any:
        if not isinstance(record, RequestRecord):
            raise Absent
        return _present(get(record))

    return value


def _connection(get: Callable[[ConnectionRecord], str | int | None]) -> Value:
    return lambda record: _present(get(record))


def _present(value: bytes | str | int | None) -> Any:
    if value is None or value == b"" or value == "":
        raise Absent
    return value[:LOOKED_AT].decode("latin-1") if isinstance(value, bytes) else value


def _grpc_status(record: RequestRecord) -> Any:
    return record.grpc_status if record.grpc_status >= 0 else ""


def _cluster(record: ConnectionRecord) -> str:
    return record.cluster.name if record.cluster is not None else ""


_ATTRIBUTES: dict[str, Value] = {
    "request.path": _request(lambda record: record.path),
    "request.url_path": _request(lambda record: record.path.partition(b"?")[0]),
    "request.query": _request(lambda record: record.path.partition(b"?")[2]),
    "request.host": _request(lambda record: record.authority),
    "request.method": _request(lambda record: record.method),
    "request.useragent": _request(lambda record: record.user_agent),
    "request.referer": _request(lambda record: (record.fields or {}).get(b"referer", b"")),
    "request.id": _request(lambda record: record.request_id),
    "request.protocol": _request(lambda record: record.protocol),
    "request.size": _request(lambda record: record.bytes_received),
    "response.code": _request(lambda record: record.status),
    "response.code_details": _request(lambda record: DETAILS[record.reasons]),
    "response.grpc_status": _request(_grpc_status),
    "response.size": _request(lambda record: record.bytes_sent),
    "source.address": _connection(lambda record: record.downstream_remote),
    "source.port": _connection(lambda record: port_of(record.downstream_remote)),
    "destination.address": _connection(lambda record: record.downstream_local),
    "destination.port": _connection(lambda record: port_of(record.downstream_local)),
    "connection.mtls": _connection(lambda record: False),
    "connection.requested_server_name": _connection(lambda record: record.sni),
    "connection.termination_details": _connection(lambda record: record.termination),
    "upstream.address": _connection(lambda record: record.upstream_host),
    "upstream.port": _connection(lambda record: port_of(record.upstream_host)),
    "upstream.local_address": _connection(lambda record: record.upstream_local),
    "upstream.transport_failure_reason": _connection(lambda record: record.transport_failure),
    "upstream.request_attempt_count": _request(lambda record: record.attempts),
    "xds.cluster_name": _connection(_cluster),
    "xds.route_name": _connection(lambda record: record.route_name),
}

_FIELDS: dict[str, Callable[[RequestRecord], dict[bytes, bytes] | None]] = {
    "request.headers": lambda record: record.fields,
    "response.headers": lambda record: record.response_fields,
    "response.trailers": lambda record: record.trailer_fields,
}

#: Fields of a request that every record has in a place of its own.
_PSEUDO: dict[str, str] = {
    ":path": "request.path",
    ":method": "request.method",
    ":authority": "request.host",
    "user-agent": "request.useragent",
    "x-request-id": "request.id",
}

# --- operations

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}

#: Characters of an attribute that are looked at: clients decide on some, and every comparison costs as much.
LOOKED_AT = 4096

#: Characters that `+` joins; more are an error, as in CEL what is too costly.
JOINED = 4 * LOOKED_AT


def _value(node: CelNode) -> Value:
    """The function of a record that a tree describes."""
    if node.name == "literal":
        literal = node.value
        return lambda record: literal
    if node.name == "attribute":
        return _ATTRIBUTES[str(node.value)]
    if node.name in ("entry", "holds"):
        return _entry(node)
    parts = [_value(part) for part in node.parts]
    if node.name in ("&&", "||"):
        return _either(parts, node.name == "||")
    if node.name == "matches":
        return _matches(parts[0], str(node.parts[1].value))
    if node.name in _COMPARED:
        compare = _COMPARED[node.name]
        left, right = parts
        return lambda record: compare(left(record), right(record))
    if node.name == "+":
        return _sum(parts)
    if node.name == "list":
        return lambda record: [part(record) for part in parts]
    return _OTHERS[node.name](*parts)


def _entry(node: CelNode) -> Value:
    source, name = str(node.parts[0].value), str(node.value).lower()
    fields, key = _FIELDS[source], name.encode()
    if source == "request.headers" and name in _PSEUDO:
        value = _ATTRIBUTES[_PSEUDO[name]]
    else:
        value = _request(lambda record: (fields(record) or {}).get(key, b""))
    return _has(value) if node.name == "holds" else value


def _either(parts: list[Value], decides: bool) -> Value:
    """`&&` (decided by false) and `||`: an error counts only where no side decides."""

    def value(record: ConnectionRecord) -> bool:
        absent = False
        for part in parts:
            try:
                if bool(part(record)) is decides:
                    return decides
            except Absent:
                absent = True
        if absent:
            raise Absent
        return not decides

    return value


def _sum(parts: list[Value]) -> Value:
    def value(record: ConnectionRecord) -> str:
        found: list[str] = []
        room = JOINED
        for part in parts:
            text = part(record)
            room -= len(text)
            if room < 0:
                raise Absent
            found.append(text)
        return "".join(found)

    return value


def _matches(subject: Value, text: str) -> Value:
    """CEL's matches() finds an expression anywhere."""
    pattern = Pattern(f"(?s:.*)(?:{text})(?s:.*)")
    return lambda record: pattern.fullmatch(subject(record).encode())


def _has(part: Value) -> Value:
    def value(record: ConnectionRecord) -> bool:
        try:
            return part(record) not in (0, b"", "")
        except Absent:
            return False

    return value


def _int(part: Value) -> Value:
    def value(record: ConnectionRecord) -> int:
        try:
            return int(part(record))
        except ValueError:
            raise Absent from None

    return value


_OTHERS: dict[str, Callable[..., Value]] = {
    "!": lambda part: lambda record: not part(record),
    "?": lambda asked, yes, no: lambda record: yes(record) if asked(record) else no(record),
    "in": lambda left, right: lambda record: left(record) in right(record),
    "string": lambda part: lambda record: _shown(part(record)),
    "int": _int,
    "size": lambda part: lambda record: len(part(record)),
    "has": _has,
}
