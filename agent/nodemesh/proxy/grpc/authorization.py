"""Envoy's protocol of external authorization, `envoy.service.auth.v3.Authorization/Check`, as far as it is spoken here.

Both messages are taken apart by hand: they are small, and their numbers are kept for ever (protobuf's encoding)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

METHOD: Final = b"/envoy.service.auth.v3.Authorization/Check"

#: Wire types of protobuf.
VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

PERMISSION_DENIED: Final = 403


class MessageError(ValueError):
    """What came is no message of that sort."""


class Where(IntEnum):
    """When a field of an answer counts (HeaderValueOption.append_action, whose numbers these are)."""

    BESIDE = 0  # what is there stays
    ABSENT = 1  # if there is none of that name
    INSTEAD = 2  # what is there goes
    PRESENT = 3  # if there is one of that name, which goes


class Change(NamedTuple):
    """A field that an answer has for a request, or for a response."""

    name: bytes  # in lower case
    value: bytes
    where: Where = Where.INSTEAD


class Verdict(NamedTuple):
    """`status` 0: the request may pass, with these fields changed, and those of `response` in its response; else the
    client gets it, with these fields."""

    status: int
    fields: list[Change]
    remove: tuple[bytes, ...] = ()
    body: bytes = b""
    response: tuple[Change, ...] = ()


class CheckedRequest(NamedTuple):
    """A request as the service is told of it. `source` and `destination` are the ends of the client's connection,
    `address:port`; `time` is when it came, in seconds since the epoch."""

    method: bytes
    path: bytes
    host: bytes
    scheme: bytes
    protocol: bytes
    headers: dict[bytes, bytes]
    body: bytes = b""
    source: str = ""
    destination: str = ""
    number: bytes = b""
    time: float = 0.0


# === writing


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, text or a message; nothing where it is empty."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value if value else b""


def text(value: bytes) -> bytes:
    """As protobuf's strings are: UTF-8."""
    return value.decode("utf-8", "replace").encode()


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def peer(end: str) -> bytes:
    """An AttributeContext.Peer: its address alone is known (core.v3.SocketAddress)."""
    address, _, port = end.rpartition(":")
    if not port.isdigit():
        return b""
    return field(1, field(1, field(2, address.strip("[]").encode()) + number_field(3, int(port))))


def check_request(question: CheckedRequest) -> bytes:
    """A CheckRequest with gRPC's prefix; an AttributeContext is what stands in it. A body that is text is told as one,
    as Envoy does by itself; any other as bytes."""
    http = field(1, text(question.number)) + field(2, text(question.method))
    for name, value in question.headers.items():
        http += field(3, field(1, text(name)) + field(2, text(value)))
    http += field(4, text(question.path)) + field(5, text(question.host)) + field(6, text(question.scheme))
    body = question.body
    http += number_field(9, len(body)) + field(10, text(question.protocol)) + field(11 if is_text(body) else 12, body)
    whole, part = divmod(question.time, 1.0)
    time = field(1, number_field(1, int(whole)) + number_field(2, int(part * 1e9)))
    attributes = (
        field(1, peer(question.source)) + field(2, peer(question.destination)) + field(4, time + field(2, http))
    )
    message = field(1, attributes)
    return b"\0" + len(message).to_bytes(4, "big") + message


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# === reading


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 64:
        if at >= len(data):
            raise MessageError("cut within a number")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise MessageError("a number without end")


def fields_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """Number, value where it is one, and bytes where it is these."""
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind, number = tag & 7, tag >> 3
        if kind == VARINT:
            value, at = read_varint(data, at)
            found.append((number, value, b""))
            continue
        if kind == BYTES:
            length, at = read_varint(data, at)
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
        else:
            raise MessageError(f"wire type {kind}")
        if at + length > len(data):
            raise MessageError("cut within a field")
        found.append((number, 0, data[at : at + length]))
        at += length
    return found


def read_check(data: bytes) -> Verdict:
    """A CheckResponse with gRPC's prefix. Raises MessageError."""
    if len(data) < 5 or data[0] or int.from_bytes(data[1:5], "big") != len(data) - 5:
        raise MessageError("not one plain message")
    code, denied, ok, trouble = 0, b"", b"", b""
    for number, _, value in fields_of(data[5:]):
        if number == 1:  # google.rpc.Status
            code = next((known for field_, known, _ in fields_of(value) if field_ == 1), 0)
        elif number == 2:
            denied = value
        elif number == 3:
            ok = value
        elif number == 5:  # of the same form as a refusal
            trouble = value
    return read_ok(ok) if not code and not denied else read_denied(denied or trouble)


def read_ok(data: bytes) -> Verdict:
    headers: list[Change] = []
    remove: list[bytes] = []
    response: list[Change] = []
    for number, _, value in fields_of(data):
        if number == 2:
            headers.append(read_header(value, Where.INSTEAD))
        elif number == 5:
            remove.append(value.lower())
        elif number == 6:
            response.append(read_header(value, Where.BESIDE))
    return Verdict(0, headers, tuple(remove), response=tuple(response))


def read_denied(data: bytes) -> Verdict:
    status, body = PERMISSION_DENIED, b""
    headers: list[Change] = []
    for number, _, value in fields_of(data):
        if number == 1:
            status = next((known for field_, known, _ in fields_of(value) if field_ == 1), 0) or PERMISSION_DENIED
        elif number == 2:
            headers.append(read_header(value, Where.INSTEAD))
        elif number == 3:
            body = value
    if not 200 <= status <= 599:
        raise MessageError(f"status {status}")
    return Verdict(status, headers, body=body)


def read_header(data: bytes, usual: Where) -> Change:
    """A HeaderValueOption. What says nothing of its place has the usual one: BESIDE cannot be told from it, and a
    client's own field must not stay because of that."""
    name = value = b""
    where, older = usual, usual
    told = False
    for number, known, content in fields_of(data):
        if number == 1:
            for inner, _, part in fields_of(content):
                if inner == 1:
                    name = part.lower()
                elif inner in (2, 3):
                    value = part
        elif number == 2:  # google.protobuf.BoolValue: the older spelling, which comes first
            told = True
            older = Where.BESIDE if any(inner == 1 and flag for inner, flag, _ in fields_of(content)) else Where.INSTEAD
        elif number == 3 and 0 < known <= max(Where):
            where = Where(known)
    return Change(name, value, older if told else where)
