"""Envoy's command operators (docs: "Access logging", command operators) over a request's record."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import msgspec

from ..reasons import TEXTS, Reason
from .labels import flags_of
from .record import RequestRecord

#: Istio's default text format (pilot/pkg/model: EnvoyTextLogFormat).
DEFAULT_TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

#: Istio's default JSON format: key -> operator.
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
}

_OPERATOR = re.compile(r"%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%")

#: A field's value; None where there is none (`-` in text, null in JSON).
Value = str | int | None
Getter = Callable[[RequestRecord], Value]


class FormatError(ValueError):
    """The access log's format has an operator that is not recorded; the message names it and those that are."""


def _clean(value: bytes) -> str | None:
    """Bytes of a client as a line may hold them: no control characters and no quote that would end the field."""
    if not value:
        return None
    text = value.decode("latin-1")
    if text.isprintable() and '"' not in text:
        return text
    return "".join(char if char.isprintable() and char != '"' else f"\\x{ord(char):02x}" for char in text)


def _milliseconds(seconds: float) -> int | None:
    return int(seconds * 1000) if seconds >= 0 else None


def _start_time(record: RequestRecord) -> str:
    seconds = int(record.started)
    return f"{_second(seconds)}.{int((record.started - seconds) * 1000):03d}Z"


_last_second: list[tuple[int, str]] = [(0, "1970-01-01T00:00:00")]


def _second(seconds: int) -> str:
    """The second in ISO format; strftime runs once per second, not once per line."""
    known, text = _last_second[0]
    if known != seconds:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        _last_second[0] = (seconds, text)
    return text


def _details(record: RequestRecord) -> str:
    return TEXTS[record.reasons[-1] if record.reasons else Reason.NONE].details


def _port_less(address: str) -> str | None:
    return address.rpartition(":")[0] or None


_HEADERS: dict[str, Getter] = {
    ":METHOD": lambda record: _clean(record.method),
    ":PATH": lambda record: _clean(record.path),
    ":AUTHORITY": lambda record: _clean(record.authority),
    "HOST": lambda record: _clean(record.authority),
    "X-ENVOY-ORIGINAL-PATH": lambda record: _clean(record.original_path),
    "X-FORWARDED-FOR": lambda record: _clean(record.forwarded_for),
    "USER-AGENT": lambda record: _clean(record.user_agent),
    "X-REQUEST-ID": lambda record: _clean(record.request_id),
}
_RESPONSE_HEADERS: dict[str, Getter] = {
    "X-ENVOY-UPSTREAM-SERVICE-TIME": lambda record: _milliseconds(record.upstream_time),
}
_OPERATORS: dict[str, Getter] = {
    "START_TIME": _start_time,
    "PROTOCOL": lambda record: _clean(record.protocol) if record.method else None,
    "RESPONSE_CODE": lambda record: record.status,
    "RESPONSE_FLAGS": lambda record: None if (flags := flags_of(record)) == "-" else flags,
    "RESPONSE_CODE_DETAILS": lambda record: _details(record) if record.method else None,
    "CONNECTION_TERMINATION_DETAILS": lambda record: record.termination or None,
    "UPSTREAM_TRANSPORT_FAILURE_REASON": lambda record: record.transport_failure or None,
    "BYTES_RECEIVED": lambda record: record.bytes_received,
    "BYTES_SENT": lambda record: record.bytes_sent,
    "DURATION": lambda record: _milliseconds(record.duration),
    "UPSTREAM_HOST": lambda record: record.upstream_host or None,
    "UPSTREAM_CLUSTER": lambda record: record.cluster.name if record.cluster is not None else None,
    "UPSTREAM_CLUSTER_RAW": lambda record: record.cluster.name if record.cluster is not None else None,
    "UPSTREAM_LOCAL_ADDRESS": lambda record: record.upstream_local or None,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": lambda record: record.attempts,
    "DOWNSTREAM_LOCAL_ADDRESS": lambda record: record.downstream_local or None,
    "DOWNSTREAM_REMOTE_ADDRESS": lambda record: record.downstream_remote or None,
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": lambda record: _port_less(record.downstream_remote),
    "REQUESTED_SERVER_NAME": lambda record: record.sni or None,
    "ROUTE_NAME": lambda record: record.route_name or None,
    "GRPC_STATUS_NUMBER": lambda record: record.grpc_status if record.grpc_status >= 0 else None,
}


def _header(table: dict[str, Getter], operator: str, argument: str) -> Getter:
    names = argument.upper().split("?")
    missing = [name for name in names if name not in table]
    if missing:
        known = ", ".join(table)
        raise FormatError(f"%{operator}({argument})% is not recorded; {operator} may name {known}")
    getters = [table[name] for name in names]
    if len(getters) == 1:
        return getters[0]
    first, second = getters[:2]
    return lambda record: value if (value := first(record)) is not None else second(record)


def _getter(operator: str, argument: str | None, length: str | None) -> Getter:
    if operator == "REQ":
        getter = _header(_HEADERS, operator, argument or "")
    elif operator == "RESP":
        getter = _header(_RESPONSE_HEADERS, operator, argument or "")
    elif operator in _OPERATORS and argument is None:
        getter = _OPERATORS[operator]
    elif operator == "START_TIME" and argument is not None:
        pattern = argument.replace("%3f", "{ms:03d}")
        getter = lambda record: time.strftime(pattern, time.gmtime(record.started)).replace(  # noqa: E731
            "{ms:03d}", f"{int(record.started % 1 * 1000):03d}"
        )
    else:
        shown = f"%{operator}({argument})%" if argument is not None else f"%{operator}%"
        raise FormatError(f"{shown} is not an operator of the access log; there are {', '.join(_OPERATORS)}, REQ, RESP")
    if length is None:
        return getter
    limit = int(length)
    return lambda record: value[:limit] if isinstance(value := getter(record), str) else value


def parse(text: str) -> tuple[str, list[Getter]]:
    """A format as a %-template and its getters. Raises FormatError."""
    parts: list[str] = []
    getters: list[Getter] = []
    end = 0
    for found in _OPERATOR.finditer(text):
        parts.append(text[end : found.start()].replace("%", "%%"))
        end = found.end()
        if found[0] == "%%":
            parts.append("%%")
            continue
        parts.append("%s")
        getters.append(_getter(found[1], found[2], found[3]))
    parts.append(text[end:].replace("%", "%%"))
    return "".join(parts), getters


class Formatter:
    """Makes lines out of records."""

    __slots__ = ("_template", "_getters", "_fields")

    def __init__(self, text: str = "", *, json: bool = False) -> None:
        """`text` is a text format, or with `json` an object of formats by key; empty stands for Istio's default.
        Raises FormatError."""
        self._template = ""
        self._getters: list[Getter] = []
        self._fields: list[tuple[str, str, list[Getter]]] = []
        if not json:
            self._template, self._getters = parse(text or DEFAULT_TEXT)
            if not self._template.endswith("\n"):
                self._template += "\n"
            return
        try:
            formats = msgspec.json.decode(text, type=dict[str, str]) if text else DEFAULT_JSON
        except msgspec.DecodeError as error:
            raise FormatError(f"the access log's JSON format is to be an object of strings: {error}") from None
        self._fields = [(key, *parse(value)) for key, value in formats.items()]

    def line(self, record: RequestRecord) -> bytes:
        """One line with its line feed."""
        if not self._fields:
            values = tuple(["-" if (value := getter(record)) is None else value for getter in self._getters])
            return (self._template % values).encode()
        fields: dict[str, Value] = {}
        for key, template, getters in self._fields:
            if template == "%s":
                fields[key] = getters[0](record)
            else:
                values = tuple(["-" if (value := getter(record)) is None else value for getter in getters])
                fields[key] = template % values
        return msgspec.json.encode(fields) + b"\n"
