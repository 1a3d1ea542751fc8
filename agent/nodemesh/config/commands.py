"""Envoy's command operators, which header values and access logs are made of: names, arguments, and how to read them.

Source: Envoy's documentation of access logging, "Command operators"; Envoy 1.40's formatter for what it accepts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

# Whether an operator has an argument in parentheses.
NONE: Final = 0
MAY: Final = 1
MUST: Final = 2


class Grammar(NamedTuple):
    """How an operator is written: `%NAME(argument):length%`."""

    argument: int = NONE
    length: bool = False  # the value may be cut


class Command(NamedTuple):
    """An operator as it is in a text, from `start` to before `end`. `length` cuts its value; -1 where it does not. A
    percent sign that is written twice has no name."""

    start: int
    end: int
    name: str
    argument: str
    length: int


class FormatError(ValueError):
    """A text has an operator at `offset` that there is not, or one that is written otherwise. The message says what
    would be right."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


PLAIN: Final = Grammar()
FIELD: Final = Grammar(MUST, True)
FORMAT: Final = Grammar(MAY)
LOOKED_UP: Final = Grammar(MUST, True)

_PLAIN: Final = """
BYTES_RECEIVED BYTES_SENT BYTES_RETRANSMITTED PACKETS_RETRANSMITTED PROTOCOL UPSTREAM_PROTOCOL RESPONSE_CODE
CONNECTION_TERMINATION_DETAILS DURATION REQUEST_DURATION REQUEST_TX_DURATION RESPONSE_DURATION RESPONSE_TX_DURATION
DOWNSTREAM_HANDSHAKE_DURATION ROUNDTRIP_DURATION UPSTREAM_CONNECTION_POOL_READY_DURATION RESPONSE_FLAGS
RESPONSE_FLAGS_LONG ROUTE_NAME VIRTUAL_CLUSTER_NAME UPSTREAM_HOST UPSTREAM_HOST_NAME UPSTREAM_HOST_NAME_WITHOUT_PORT
UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAMES_ATTEMPTED
UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT UPSTREAM_CONNECTION_IDS_ATTEMPTED UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW
UPSTREAM_CONNECTION_ID UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_PORT UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_PORT
UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_SERVER_NAME UPSTREAM_TLS_CIPHER UPSTREAM_TLS_VERSION UPSTREAM_TLS_GROUP
UPSTREAM_TLS_SESSION_ID UPSTREAM_PEER_ISSUER UPSTREAM_PEER_CERT UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN
UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_LOCAL_URI_SAN UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN
UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_DETECTED_CLOSE_TYPE UPSTREAM_LOCAL_CLOSE_REASON UPSTREAM_HEADER_BYTES_SENT
UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT UPSTREAM_WIRE_BYTES_RECEIVED
UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED
UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID DOWNSTREAM_CX_RTT DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_PORT
DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_PORT
DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_ADDRESS DOWNSTREAM_DIRECT_LOCAL_PORT
DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID CONNECTION_ID DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_VERSION
DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_SUBJECT
DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_IP_SAN DOWNSTREAM_PEER_EMAIL_SAN
DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_IP_SAN
DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_PEER_FINGERPRINT_256
DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256
DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256
DOWNSTREAM_PEER_ISSUER_SERIAL DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_DETECTED_CLOSE_TYPE
DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT
DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED
DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT REQUESTED_SERVER_NAME TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT
FILTER_CHAIN_NAME ROUTE_RESOLUTION_COUNT ROUTE_RESOLUTION_TIME_US REQUEST_HEADERS_BYTES RESPONSE_HEADERS_BYTES
RESPONSE_TRAILERS_BYTES STREAM_ID UNIQUE_ID TRACE_ID SPAN_ID HOSTNAME LOCAL_REPLY_BODY GRPC_STATUS_NUMBER
ACCESS_LOG_TYPE CUSTOM_FLAGS
"""

#: All operators, by what Envoy 1.40 accepts.
COMMANDS: Final[dict[str, Grammar]] = {
    **dict.fromkeys(_PLAIN.split(), PLAIN),
    **dict.fromkeys(("REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER"), FIELD),
    **dict.fromkeys(("ENVIRONMENT", "QUERY_PARAM"), LOOKED_UP),
    **dict.fromkeys(
        ("DYNAMIC_METADATA", "CLUSTER_METADATA", "UPSTREAM_METADATA", "METADATA", "FILTER_STATE"), LOOKED_UP
    ),
    **dict.fromkeys(("START_TIME", "START_TIME_LOCAL", "EMIT_TIME", "EMIT_TIME_LOCAL"), FORMAT),
    **dict.fromkeys(
        (f"{side}_CERT_V_{end}" for side in ("DOWNSTREAM_PEER", "UPSTREAM_PEER") for end in ("START", "END")), FORMAT
    ),
    **dict.fromkeys(
        (
            f"{address}_WITHOUT_PORT"
            for address in (
                "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS",
                "DOWNSTREAM_DIRECT_LOCAL_ADDRESS", "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_REMOTE_ADDRESS",
            )
        ),
        FORMAT,
    ),
    "UPSTREAM_FILTER_STATE": LOOKED_UP,
    "RESPONSE_CODE_DETAILS": FORMAT,
    "GRPC_STATUS": FORMAT,
    "PATH": Grammar(MAY, True),
    "QUERY_PARAMS": Grammar(MAY, True),
    "COMMON_DURATION": Grammar(MUST),
    "PER_REQUEST_STATE": Grammar(MUST),
}  # fmt: skip

#: Points in time of COMMON_DURATION, and its units in parts of a second.
POINTS: Final = (
    "DS_RX_BEG", "DS_RX_END", "US_CX_BEG", "US_CX_END", "US_HS_END", "US_TX_BEG", "US_TX_END", "US_RX_BEG",
    "US_RX_BODY_BEG", "US_RX_END", "DS_TX_BEG", "DS_TX_END",
)  # fmt: skip
UNITS: Final = {"ms": 1e3, "us": 1e6, "ns": 1e9}

_COMMAND: Final = re.compile(r"%%|%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::([0-9]{1,9}))?%|%")

#: REQ and RESP name a field, and perhaps another one that stands in for it.
_FIELDS: Final = re.compile(r":?[!#$%&'*+\-.^_`|~0-9A-Za-z]+(\?:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?")

#: What the argument must be like, and what is right.
_ARGUMENTS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    **dict.fromkeys(
        ("REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER", "REQ_WITHOUT_QUERY"),
        (_FIELDS, "a field's name, or two as %REQ(X?Y)%"),
    ),
    "PATH": (
        re.compile(r"(NQ|WQ)?(:(ORIG|PATH|ORIG_OR_PATH))?"),
        "NQ or WQ, and perhaps :ORIG, :PATH or :ORIG_OR_PATH",
    ),
    "QUERY_PARAMS": (re.compile(r"ORIG|DECODED"), "ORIG or DECODED"),
    "GRPC_STATUS": (re.compile(r"CAMEL_STRING|SNAKE_STRING|NUMBER"), "CAMEL_STRING, SNAKE_STRING or NUMBER"),
    "RESPONSE_CODE_DETAILS": (re.compile(r"ALLOW_WHITESPACES"), "ALLOW_WHITESPACES"),
    "COMMON_DURATION": (
        re.compile(rf"({'|'.join(POINTS)}):({'|'.join(POINTS)})(:({'|'.join(UNITS)}))?"),
        f"two points and perhaps a unit, as DS_RX_BEG:US_RX_BEG:ms; points are {', '.join(POINTS)}, units "
        f"{', '.join(UNITS)}",
    ),
}


def commands(text: str, known: Mapping[str, Grammar] = COMMANDS) -> Iterator[Command]:
    """The operators of a text in their order. Raises FormatError."""
    for found in _COMMAND.finditer(text):
        if found[0] == "%":
            message = "a percent sign begins an operator, as %PROTOCOL%; write %% for one that is meant"
            raise FormatError(message, found.start())
        name = found[1] or ""
        if name:
            wrong = fault(name, found[2], found[3] is not None, known)
            if wrong:
                raise FormatError(wrong, found.start())
        yield Command(found.start(), found.end(), name, found[2] or "", -1 if found[3] is None else int(found[3]))


def parse(text: str) -> list[str | Command]:
    """A header's value as its texts and operators. Raises FormatError."""
    found: list[str | Command] = []
    end = 0
    for command in commands(text):
        found.append(text[end : command.start])
        end = command.end
        found.append(command if command.name else "%")
    found.append(text[end:])
    return [part for part in found if part]


def fault(name: str, argument: str | None, cut: bool, known: Mapping[str, Grammar]) -> str:
    """What is wrong with one operator, and what would be right; empty where nothing is."""
    grammar = known.get(name)
    if grammar is None:
        return f"%{name}% is not one of Envoy's command operators{nearest(name, known)}"
    if grammar.argument == MUST and not argument:
        return f"%{name}% needs an argument, as %{name}(…)%"
    if argument is not None and grammar.argument == NONE:
        return f"%{name}({argument})%: {name} takes no argument; write %{name}%"
    if cut and not grammar.length:
        return f"the value of %{name}% cannot be cut; leave the colon and the length out"
    rule = _ARGUMENTS.get(name)
    if argument and rule is not None and rule[0].fullmatch(argument) is None:
        return f"%{name}({argument})%: the argument is to be {rule[1]}"
    if argument and name.endswith("_WITHOUT_PORT") and not (argument.isdigit() and int(argument) <= 128):
        return f"%{name}({argument})%: the argument is to be the length of a network's prefix, up to 128"
    return ""


def nearest(name: str, known: Mapping[str, Grammar]) -> str:
    """A hint at a name that is like this one."""
    close = difflib.get_close_matches(name, known, 1)
    return f"; perhaps %{close[0]}% is meant" if close else ""
