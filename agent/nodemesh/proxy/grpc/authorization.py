"""Envoy's protocol of external authorization, `envoy.service.auth.v3.Authorization/Check`, as far as it is spoken here.

Both messages are taken apart by hand: they are small, and their numbers are kept for ever (protobuf's encoding)."""

from __future__ import annotations

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


class Verdict(NamedTuple):
    """`status` 0: the request may pass, with these fields changed; else the client gets it, with these fields. `add`
    are names whose values come beside what is there."""

    status: int
    fields: list[tuple[bytes, bytes]]
    add: frozenset[bytes] = frozenset()
    remove: tuple[bytes, ...] = ()
    body: bytes = b""


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


def check_request(
    method: bytes, path: bytes, host: bytes, scheme: bytes, protocol: bytes, headers: dict[bytes, bytes], body: bytes
) -> bytes:
    """A CheckRequest with gRPC's prefix; AttributeContext.HttpRequest is what stands in it."""
    http = field(2, text(method))
    for name, value in headers.items():
        http += field(3, field(1, text(name)) + field(2, text(value)))
    http += field(4, text(path)) + field(5, text(host)) + field(6, text(scheme))
    if body:
        http += varint(9 << 3 | VARINT) + varint(len(body))
    http += field(10, text(protocol)) + field(12, body)
    message = field(1, field(4, field(2, http)))
    return b"\0" + len(message).to_bytes(4, "big") + message


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
    code, denied, ok = 0, b"", b""
    for number, _, value in fields_of(data[5:]):
        if number == 1:  # google.rpc.Status
            code = next((known for field_, known, _ in fields_of(value) if field_ == 1), 0)
        elif number == 2:
            denied = value
        elif number == 3:
            ok = value
    return read_ok(ok) if not code and not denied else read_denied(denied)


def read_ok(data: bytes) -> Verdict:
    headers: list[tuple[bytes, bytes]] = []
    add: set[bytes] = set()
    remove: list[bytes] = []
    for number, _, value in fields_of(data):
        if number == 2:
            name, content, appended = read_header(value)
            headers.append((name, content))
            if appended:
                add.add(name)
        elif number == 5:
            remove.append(value.lower())
    return Verdict(0, headers, frozenset(add), tuple(remove))


def read_denied(data: bytes) -> Verdict:
    status, body = PERMISSION_DENIED, b""
    headers: list[tuple[bytes, bytes]] = []
    for number, _, value in fields_of(data):
        if number == 1:
            status = next((known for field_, known, _ in fields_of(value) if field_ == 1), 0) or PERMISSION_DENIED
        elif number == 2:
            name, content, _ = read_header(value)
            headers.append((name, content))
        elif number == 3:
            body = value
    if not 200 <= status <= 599:
        raise MessageError(f"status {status}")
    return Verdict(status, headers, body=body)


def read_header(data: bytes) -> tuple[bytes, bytes, bool]:
    """A HeaderValueOption: lower-case name, value, and whether it comes beside what is there."""
    name = value = b""
    appended = False
    for number, _, content in fields_of(data):
        if number == 1:
            for inner, _, part in fields_of(content):
                if inner == 1:
                    name = part.lower()
                elif inner in (2, 3):
                    value = part
        elif number == 2:  # google.protobuf.BoolValue
            appended = any(inner == 1 and known for inner, known, _ in fields_of(content))
    return name, value, appended
