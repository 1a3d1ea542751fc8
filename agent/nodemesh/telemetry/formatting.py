"""Formats of the access log, each made into the columns of its operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from ..config.commands import Command
from ..config.log_format import formats, operators
from .operators import ShownFields, connection_column, constant, request_column
from .record import ConnectionRecord, RequestRecord

#: A column of records of one kind.
RecordsColumn = Callable[[Any, str | None], list[Any]]

#: Istio's default text format (pilot/pkg/model: EnvoyTextLogFormat).
DEFAULT_TEXT: Final = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

#: Istio's default JSON format: key -> operator; and who asked and answered.
DEFAULT_JSON: Final = {
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


class Text:
    """A text with operators in it: a column for each of these, and for each piece of text between them."""

    __slots__ = ("columns", "alone")

    def __init__(self, text: str, column_of: Callable[[Command], RecordsColumn]) -> None:
        """Raises FormatError."""
        self.columns: list[RecordsColumn] = []
        between = ""
        end = 0
        for operator in operators(text):
            between += text[end : operator.start]
            end = operator.end
            if operator.name:
                if between:
                    self.columns.append(constant(between))
                    between = ""
                self.columns.append(column_of(operator))
            else:
                between += "%"
        between += text[end:]
        self.alone = len(self.columns) == 1 and not between  # one operator and nothing else
        if between:
            self.columns.append(constant(between))

    def texts(self, records: Sequence[ConnectionRecord]) -> list[str]:
        """The text of each record. A dash means none."""
        if not self.columns:
            return [""] * len(records)
        return list(map("".join, zip(*[column(records, "-") for column in self.columns], strict=True)))

    def values(self, records: Sequence[ConnectionRecord]) -> list[Any]:
        """The text of each record; an operator that stands alone keeps its value's type, None where it has none."""
        return self.columns[0](records, None) if self.alone else self.texts(records)


class TextLines:
    """Lines in a text format."""

    __slots__ = ("text",)

    def __init__(self, text: str, column_of: Callable[[Command], RecordsColumn]) -> None:
        self.text = Text(text if text.endswith("\n") else text + "\n", column_of)

    def lines(self, records: Sequence[ConnectionRecord]) -> list[bytes]:
        return [text.encode() for text in self.text.texts(records)]


class JsonLines:
    """Lines that are JSON objects, of formats by key."""

    __slots__ = ("members",)

    def __init__(self, texts: dict[str, str], column_of: Callable[[Command], RecordsColumn]) -> None:
        self.members = {key: Text(text, column_of) for key, text in texts.items()}

    def lines(self, records: Sequence[ConnectionRecord]) -> list[bytes]:
        if not self.members:
            return [b"{}\n"] * len(records)
        columns = [text.values(records) for text in self.members.values()]
        keys = list(self.members)
        rows = zip(*columns, strict=True)
        return [msgspec.json.encode(dict(zip(keys, row, strict=True))) + b"\n" for row in rows]


class LogFormatter:
    """Makes lines out of records. `wanted` are the fields that records have to hold for it."""

    __slots__ = ("wanted", "_requests", "_connections")

    def __init__(self, text: str = "", *, json: bool = False) -> None:
        """`text` is a text format, or with `json` an object of formats by key; empty stands for Istio's default.
        Raises FormatError."""
        wanted = self.wanted = ShownFields()

        def request_columns(operator: Command) -> RecordsColumn:
            return request_column(operator, wanted)

        if json:
            texts = formats(text, True) if text else DEFAULT_JSON
            self._requests: TextLines | JsonLines = JsonLines(texts, request_columns)
            self._connections: TextLines | JsonLines = JsonLines(texts, connection_column)
        else:
            self._requests = TextLines(text or DEFAULT_TEXT, request_columns)
            self._connections = TextLines(text or DEFAULT_TEXT, connection_column)

    def lines(self, records: Sequence[ConnectionRecord]) -> list[bytes]:
        """A line for each, with its line feed."""
        requests = [record for record in records if isinstance(record, RequestRecord)]
        if len(requests) == len(records):
            return self._requests.lines(requests)
        connections = [record for record in records if not isinstance(record, RequestRecord)]
        of_requests = iter(self._requests.lines(requests))
        of_connections = iter(self._connections.lines(connections))
        return [next(of_requests if isinstance(record, RequestRecord) else of_connections) for record in records]
