"""Header changes that rules ask for, and the %COMMAND% operators in their values."""

from __future__ import annotations

import re
import socket
from datetime import UTC, datetime
from typing import Final

from ...routing.decision import HeaderOps
from ...telemetry.record import RequestRecord
from .environment import variable
from .head import Edits, Fields
from .lines import name_of

COMMAND: Final = re.compile(rb"%(?:%|([A-Z_0-9]+)(?:\(([^)]*)\))?(?::[0-9]+)?%)")

HOSTNAME: Final = socket.gethostname().encode()


def change(ops: HeaderOps, fields: Fields, edits: Edits, record: RequestRecord, headers: dict[bytes, bytes]) -> None:
    """Change a message's edits: remove, then set, then add. An empty value after expansion adds nothing; `headers` are
    the request's."""
    for name in ops.remove:
        edits[name] = b""
    for op in ops.set:
        value = expand(op.value, record, headers) if op.formatted else op.value
        if value:
            edits[op.name] = op.name + b": " + value
    for op in ops.add:
        value = expand(op.value, record, headers) if op.formatted else op.value
        if value:
            add(fields, edits, op.name, op.name + b": " + value)


def add(fields: Fields, edits: Edits, name: bytes, line: bytes) -> None:
    """Put one more line beside those of its name."""
    said = edits.get(name)
    if said is None and name in fields.names:
        said = b"\r\n".join([line for line in fields.lines if name_of(line) == name])
    edits[name] = said + b"\r\n" + line if said else line


def expand(template: bytes, record: RequestRecord, headers: dict[bytes, bytes]) -> bytes:
    """Replace the format commands of Envoy's "custom request/response headers"; unknown ones stay as they are."""
    out: list[bytes] = []
    position = 0
    for match in COMMAND.finditer(template):
        out.append(template[position : match.start()])
        if match[1] is None:
            out.append(b"%")
        else:
            value = command(match[1].decode(), match[2] or b"", record, headers)
            out.append(match[0] if value is None else value)
        position = match.end()
    out.append(template[position:])
    return b"".join(out)


def command(name: str, argument: bytes, record: RequestRecord, headers: dict[bytes, bytes]) -> bytes | None:
    """One command's value, None if there is no such command."""
    if name == "REQ":
        return requested(argument, record, headers)
    if name == "ENVIRONMENT":
        return variable(argument)
    if name == "START_TIME":
        started = datetime.fromtimestamp(record.started, UTC)
        return started.strftime("%Y-%m-%dT%H:%M:%S.").encode() + b"%03dZ" % (started.microsecond // 1000)
    if name.endswith("_WITHOUT_PORT"):
        address = command(name.removesuffix("_WITHOUT_PORT"), b"", record, headers)
        return None if address is None else address.rpartition(b":")[0].strip(b"[]")
    values: dict[str, bytes] = {
        "DOWNSTREAM_REMOTE_ADDRESS": record.downstream_remote.encode(),
        "DOWNSTREAM_LOCAL_ADDRESS": record.downstream_local.encode(),
        "UPSTREAM_HOST": record.upstream_host.encode(),
        "UPSTREAM_REMOTE_ADDRESS": record.upstream_host.encode(),
        "UPSTREAM_CLUSTER": record.cluster.name.encode() if record.cluster is not None else b"",
        "PROTOCOL": record.protocol,
        "HOSTNAME": HOSTNAME,
        "RESPONSE_CODE": b"%d" % record.status if record.status else b"",
        "ROUTE_NAME": record.route_name.encode(),
    }
    return values.get(name)


def requested(argument: bytes, record: RequestRecord, headers: dict[bytes, bytes]) -> bytes:
    """%REQ(name?alternative)%: a request's field or pseudo field."""
    for name in argument.lower().split(b"?"):
        value = {
            b":method": record.method,
            b":path": record.path,
            b":authority": record.authority,
            b"host": record.authority,
            b"x-request-id": record.request_id,
        }.get(name) or headers.get(name)
        if value:
            return value
    return b""
