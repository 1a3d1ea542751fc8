"""Formats of the access log: Envoy's command operators (docs: "Access logging") as they stand in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

#: Operators that take no argument.
PLAIN = frozenset(
    {
        "ACCESS_LOG_TYPE", "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_ID", "CONNECTION_TERMINATION_DETAILS",
        "DURATION",
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_PORT", "DOWNSTREAM_HEADER_BYTES_RECEIVED", "DOWNSTREAM_HEADER_BYTES_SENT",
        "DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_LOCAL_SUBJECT", "DOWNSTREAM_LOCAL_URI_SAN", "DOWNSTREAM_PEER_CERT", "DOWNSTREAM_PEER_CERT_V_END",
        "DOWNSTREAM_PEER_CERT_V_START", "DOWNSTREAM_PEER_FINGERPRINT_1", "DOWNSTREAM_PEER_FINGERPRINT_256",
        "DOWNSTREAM_PEER_ISSUER", "DOWNSTREAM_PEER_SERIAL", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_URI_SAN",
        "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_REMOTE_PORT",
        "DOWNSTREAM_TLS_CIPHER", "DOWNSTREAM_TLS_SESSION_ID", "DOWNSTREAM_TLS_VERSION",
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON", "DOWNSTREAM_WIRE_BYTES_RECEIVED", "DOWNSTREAM_WIRE_BYTES_SENT",
        "FILTER_CHAIN_NAME", "GRPC_STATUS_NUMBER", "HOSTNAME", "PROTOCOL", "REQUESTED_SERVER_NAME", "REQUEST_DURATION",
        "REQUEST_HEADERS_BYTES", "REQUEST_TX_DURATION", "RESPONSE_CODE", "RESPONSE_CODE_DETAILS", "RESPONSE_DURATION",
        "RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG", "RESPONSE_HEADERS_BYTES", "RESPONSE_TRAILERS_BYTES",
        "RESPONSE_TX_DURATION", "ROUNDTRIP_DURATION", "ROUTE_NAME", "STREAM_ID", "TLS_JA3_FINGERPRINT",
        "TLS_JA4_FINGERPRINT", "TRACE_ID", "UNIQUE_ID", "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW",
        "UPSTREAM_CONNECTION_ID", "UPSTREAM_CONNECTION_POOL_READY_DURATION", "UPSTREAM_DETECTED_CLOSE_TYPE",
        "UPSTREAM_HEADER_BYTES_RECEIVED", "UPSTREAM_HEADER_BYTES_SENT", "UPSTREAM_HOST", "UPSTREAM_HOSTS_ATTEMPTED",
        "UPSTREAM_HOST_NAME", "UPSTREAM_HOST_NAME_WITHOUT_PORT", "UPSTREAM_LOCAL_ADDRESS",
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", "UPSTREAM_LOCAL_PORT", "UPSTREAM_LOCAL_SUBJECT",
        "UPSTREAM_LOCAL_URI_SAN", "UPSTREAM_PEER_CERT", "UPSTREAM_PEER_ISSUER", "UPSTREAM_PEER_SUBJECT",
        "UPSTREAM_PEER_URI_SAN", "UPSTREAM_PROTOCOL", "UPSTREAM_REMOTE_ADDRESS",
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "UPSTREAM_TLS_CIPHER", "UPSTREAM_TLS_SESSION_ID", "UPSTREAM_TLS_VERSION", "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "UPSTREAM_WIRE_BYTES_RECEIVED", "UPSTREAM_WIRE_BYTES_SENT", "VIRTUAL_CLUSTER_NAME",
        # our own
        "DESTINATION_WORKLOAD", "RULE", "SOURCE_NAMESPACE", "SOURCE_WORKLOAD",
    }
)  # fmt: skip

#: Operators with an argument.
WITH_ARGUMENT = frozenset(
    {
        "CEL", "CLUSTER_METADATA", "COMMON_DURATION", "DYNAMIC_METADATA", "ENVIRONMENT", "FILTER_STATE", "METADATA",
        "QUERY_PARAM", "REQ", "REQ_WITHOUT_QUERY", "RESP", "TRAILER", "UPSTREAM_FILTER_STATE", "UPSTREAM_METADATA",
    }
)  # fmt: skip

#: Operators that may have one.
WITH_OR_WITHOUT = frozenset(
    {
        "DOWNSTREAM_PEER_CERT_V_END", "DOWNSTREAM_PEER_CERT_V_START", "EMIT_TIME", "GRPC_STATUS", "PATH",
        "START_TIME", "UPSTREAM_PEER_CERT_V_END", "UPSTREAM_PEER_CERT_V_START",
    }
)  # fmt: skip

OPERATORS = PLAIN | WITH_ARGUMENT | WITH_OR_WITHOUT

#: Points in time of COMMON_DURATION, and its units in parts of a second.
POINTS = (
    "DS_RX_BEG", "DS_RX_END", "US_CX_BEG", "US_CX_END", "US_HS_END", "US_TX_BEG", "US_TX_END", "US_RX_BEG",
    "US_RX_BODY_BEG", "US_RX_END", "DS_TX_BEG", "DS_TX_END",
)  # fmt: skip
UNITS = {"ms": 1e3, "us": 1e6, "ns": 1e9}

#: What a format may keep of one request beside what is recorded anyway: names of fields.
FIELDS_LIMIT = 64

_OPERATOR = re.compile(r"%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%|%")
_NAME = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class FormatError(ValueError):
    """The format has something at `offset` that no log can show; the message says what would be right."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class Operator(NamedTuple):
    """One operator of a text: `argument` is None where it has none, `length` cuts its value where it is set."""

    start: int
    end: int
    name: str
    argument: str | None
    length: int | None


def operators(text: str) -> Iterator[Operator]:
    """The operators of a format in their order; a percent sign that is written twice comes with an empty name. Raises
    FormatError."""
    for found in _OPERATOR.finditer(text):
        if found[0] == "%%":
            yield Operator(found.start(), found.end(), "", None, None)
            continue
        if found[0] == "%":
            message = "a percent sign begins an operator, as %PROTOCOL%; one that is meant is written twice"
            raise FormatError(message, found.start())
        _check(found[1], found[2], found.start())
        yield Operator(found.start(), found.end(), found[1], found[2], int(found[3]) if found[3] else None)


def _check(name: str, argument: str | None, offset: int) -> None:
    shown = f"%{name}({argument})%" if argument is not None else f"%{name}%"
    if name not in OPERATORS:
        near = [known for known in sorted(OPERATORS) if known.startswith(name[:6])] or sorted(WITH_ARGUMENT)
        raise FormatError(f"{shown} is not an operator of the access log; there are {', '.join(near[:8])}", offset)
    if argument is None and name in WITH_ARGUMENT:
        raise FormatError(f"{shown} needs an argument, as %{name}(…)%", offset)
    if argument is not None and name in PLAIN:
        raise FormatError(f"{shown}: {name} takes no argument", offset)
    if name in ("REQ", "RESP", "TRAILER", "REQ_WITHOUT_QUERY"):
        names = (argument or "").split("?")
        if len(names) > 2 or not all(_NAME.fullmatch(each) for each in names):
            raise FormatError(f"{shown}: write a field's name, or two as %{name}(X?Y)%", offset)
    if name == "COMMON_DURATION":
        parts = (argument or "").split(":")
        if len(parts) not in (2, 3) or {*parts[:2]} - {*POINTS} or (len(parts) == 3 and parts[2] not in UNITS):
            right = (
                f"%COMMON_DURATION(DS_RX_BEG:US_RX_BEG:ms)%; points are {', '.join(POINTS)}, units {', '.join(UNITS)}"
            )
            raise FormatError(f"{shown}: write it as {right}", offset)


def formats(text: str, json: bool) -> dict[str, str]:
    """The texts of a format by their keys: of JSON an object's members, else the one under an empty key. Raises
    FormatError."""
    if not json:
        return {"": text}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise FormatError(f"the JSON format is to be an object of strings: {error}") from None


def check_format(text: str, json: bool) -> None:
    """Raises FormatError."""
    names: set[str] = set()
    for each in formats(text, json).values():
        try:
            for operator in operators(each):
                if operator.name in ("REQ", "RESP", "TRAILER"):
                    names.update((operator.argument or "").upper().split("?"))
        except FormatError as error:
            raise FormatError(str(error), max(0, text.find(each)) + error.offset if json else error.offset) from None
    if len(names) > FIELDS_LIMIT:
        raise FormatError(
            f"the format names {len(names)} fields of requests and responses; up to {FIELDS_LIMIT} are kept"
        )
