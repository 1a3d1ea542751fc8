"""Envoy's command operators (docs: "Access logging", command operators) over a request's record."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import msgspec

from ..reasons import TEXTS, Reason
from .labels import FLAGS
from .memo import Memo
from .record import ConnectionRecord, RequestRecord

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


class FormatError(ValueError):
    """The access log's format has an operator that is not recorded; the message names it and those that are."""


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


def start_time(pattern: str, started: float) -> str:
    """START_TIME in a format of strftime, with %3f for the milliseconds."""
    text = time.strftime(pattern.replace("%3f", "{milliseconds}"), time.gmtime(started))
    return text.replace("{milliseconds}", f"{int(started % 1 * 1000):03d}")


#: What the expressions below may use. NONE is what a field without a value shows: `-` in text, null in JSON.
_NAMES = {
    "text": Printable(),
    "printable": Printable().make,
    "moment": Moments(),
    "flags": FLAGS,
    "details": Details(),
    "start_time": start_time,
    "json": msgspec.json.encode,
    "RequestRecord": RequestRecord,
}

#: The expression of what has no value.
_NONE = "NONE"

#: Fields of the request, as Python expressions over its record; empty where there is none.
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

#: Fields of the response; empty where there is none.
_RESPONSE_HEADERS = {
    "X-ENVOY-UPSTREAM-SERVICE-TIME": "(str(int(record.upstream_time * 1000.0)) if record.upstream_time >= 0.0 else '')",
}

#: The other operators, each as the expression that gives its value.
_OPERATORS = {
    "START_TIME": "moment[record.started]",
    "PROTOCOL": "text[record.protocol]",
    "RESPONSE_CODE": "record.status",
    "RESPONSE_FLAGS": "flags[record.reasons] or NONE",
    "RESPONSE_CODE_DETAILS": "details[record.reasons]",
    "CONNECTION_TERMINATION_DETAILS": "record.termination or NONE",
    "UPSTREAM_TRANSPORT_FAILURE_REASON": "record.transport_failure or NONE",
    "BYTES_RECEIVED": "record.bytes_received",
    "BYTES_SENT": "record.bytes_sent",
    "DURATION": "int(record.duration * 1000.0) if record.duration >= 0.0 else NONE",
    "UPSTREAM_HOST": "record.upstream_host or NONE",
    "UPSTREAM_CLUSTER": "record.cluster.name if record.cluster is not None else NONE",
    "UPSTREAM_CLUSTER_RAW": "record.cluster.name if record.cluster is not None else NONE",
    "UPSTREAM_LOCAL_ADDRESS": "record.upstream_local or NONE",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "record.attempts",
    "DOWNSTREAM_LOCAL_ADDRESS": "record.downstream_local or NONE",
    "DOWNSTREAM_REMOTE_ADDRESS": "record.downstream_remote or NONE",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "record.downstream_remote.rpartition(':')[0] or NONE",
    "REQUESTED_SERVER_NAME": "record.sni or NONE",
    "ROUTE_NAME": "record.route_name or NONE",
    "GRPC_STATUS_NUMBER": "record.grpc_status if record.grpc_status >= 0 else NONE",
}

#: Those of them that a TCP connection knows nothing of, and REQ and RESP, which it has no more.
_OF_REQUESTS = {
    "PROTOCOL": _NONE,
    "RESPONSE_CODE": "0",
    "RESPONSE_CODE_DETAILS": _NONE,
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": "0",
    "GRPC_STATUS_NUMBER": _NONE,
    "REQ": _NONE,
    "RESP": _NONE,
}


def header_expression(table: dict[str, str], operator: str, argument: str) -> str:
    """The expression of REQ or RESP: the first of the named fields that is there."""
    names = argument.upper().split("?")[:2]
    missing = [name for name in names if name not in table]
    if missing:
        known = ", ".join(table)
        raise FormatError(f"%{operator}({argument})% is not recorded; {operator} may name {known}")
    return " or ".join([*(table[name] for name in names), _NONE])


def expression(operator: str, argument: str | None, length: str | None, of_request: bool) -> str:
    """The Python expression that gives a command operator's value for a request, or for a connection. Raises
    FormatError."""
    if not of_request and operator in _OF_REQUESTS:
        return _OF_REQUESTS[operator]
    if operator == "REQ":
        found = header_expression(_REQUEST_HEADERS, operator, argument or "")
    elif operator == "RESP":
        found = header_expression(_RESPONSE_HEADERS, operator, argument or "")
    elif operator in _OPERATORS and argument is None:
        found = _OPERATORS[operator]
    elif operator == "START_TIME" and argument is not None:
        found = f"start_time({argument!r}, record.started)"
    else:
        shown = f"%{operator}({argument})%" if argument is not None else f"%{operator}%"
        raise FormatError(f"{shown} is not an operator of the access log; there are {', '.join(_OPERATORS)}, REQ, RESP")
    if length is None:
        return f"({found})"
    return f"(value[:{int(length)}] if isinstance(value := ({found}), str) else value)"


def parse(text: str, of_request: bool) -> tuple[list[str], list[str]]:
    """A format as the texts around its values, one more than those, and the values' expressions. Raises FormatError."""
    texts = [""]
    expressions: list[str] = []
    end = 0
    for found in _OPERATOR.finditer(text):
        texts[-1] += text[end : found.start()]
        end = found.end()
        if found[0] == "%%":
            texts[-1] += "%"
            continue
        texts.append("")
        expressions.append(expression(found[1], found[2], found[3], of_request))
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
    function: Callable[[ConnectionRecord], bytes] = eval(source, {**_NAMES, _NONE: none})
    return function


class Formatter:
    """Makes lines out of records: `line` gives one with its line feed. It is one Python function made of the format: a
    line costs no more than its values."""

    __slots__ = ("line",)

    def __init__(self, text: str = "", *, json: bool = False) -> None:
        """`text` is a text format, or with `json` an object of formats by key; empty stands for Istio's default.
        Raises FormatError."""
        expression_of = json_expression if json else text_expression
        self.line = compiled(expression_of(text, True), expression_of(text, False), None if json else "-")


def text_expression(text: str, of_request: bool) -> str:
    """The expression of a text format's line."""
    texts, expressions = parse(text or DEFAULT_TEXT, of_request)
    if not texts[-1].endswith("\n"):
        texts[-1] += "\n"
    return f"{joined(texts, expressions)}.encode()"


def json_expression(text: str, of_request: bool) -> str:
    """The expression of a JSON format's line: an operator that stands alone keeps its type."""
    try:
        formats = msgspec.json.decode(text, type=dict[str, str]) if text else DEFAULT_JSON
    except msgspec.DecodeError as error:
        raise FormatError(f"the access log's JSON format is to be an object of strings: {error}") from None
    members: list[str] = []
    for key, value in formats.items():
        texts, expressions = parse(value, of_request)
        if texts == ["", ""]:
            members.append(f"{key!r}: {expressions[0]}")
        else:
            shown = [
                each if each == _NONE else f"('-' if (value := {each}) is None else value)" for each in expressions
            ]
            members.append(f"{key!r}: {joined(texts, shown)}")
    return "json({" + ", ".join(members) + "}) + b'\\n'"
