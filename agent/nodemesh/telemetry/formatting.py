"""Formats of the access log, each made into one function of a record."""

from __future__ import annotations

from collections.abc import Callable

from ..config.log_format import formats, operators
from .operators import NAMES, NO_VALUE, Wanted, expression
from .record import ConnectionRecord

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
        if value == NO_VALUE:
            template += "-"
        else:
            template += "%s"
            shown.append(value)
        template += text.replace("%", "%%")
    return f"({template!r} % ({''.join(f'{value}, ' for value in shown)}))"


def compiled(of_request: str, of_connection: str, none: str | None) -> Callable[[ConnectionRecord], bytes]:
    """A function of a record of either kind. Its source is made of the operators' expressions and of literals alone."""
    source = f"lambda record: {of_request} if isinstance(record, RequestRecord) else {of_connection}"

    def none_or(value: int | None) -> int | str | None:
        return none if value is None else value

    function: Callable[[ConnectionRecord], bytes] = eval(source, {**NAMES, NO_VALUE: none, "none_or": none_or})
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
                each if each == NO_VALUE else f"('-' if (value := {each}) is None else value)" for each in expressions
            ]
            members.append(f"{key!r}: {joined(texts, shown)}")
    return "json({" + ", ".join(members) + "}) + b'\\n'"
