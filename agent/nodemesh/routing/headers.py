"""Header operations of VirtualServices, with the authority taken out of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..config.virtualservice import HeaderOperations
from .decision import HeaderOp, HeaderOps

#: Names under which header operations write the Host.
AUTHORITY_NAMES = (":authority", "host")

#: How a message ends is told by whoever writes it: a rule's word against it would let the next hop see another message
#: in its place (request smuggling, RFC 9112 section 11.2). Envoy writes what it is told.
FRAMING_NAMES = ("content-length", "transfer-encoding")


def header_ops(operations: HeaderOperations | None) -> HeaderOps | None:
    """None if there is nothing to do."""
    if operations is None:
        return None
    remove = tuple(sorted({name.lower().encode() for name in operations.remove}))
    ops = level(remove, tuple(ops_of(operations.set)), tuple(ops_of(operations.add)))
    return ops if ops.remove or ops.set or ops.add else None


def level(remove: tuple[bytes, ...], to_set: tuple[HeaderOp, ...], to_add: tuple[HeaderOp, ...]) -> HeaderOps:
    formatted = any(op.formatted for op in (*to_set, *to_add))
    return HeaderOps(remove=remove, set=to_set, add=to_add, formatted=formatted)


def ops_of(values: Mapping[str, str]) -> Iterable[HeaderOp]:
    for name, value in sorted(values.items()):
        if name.lower() not in (*AUTHORITY_NAMES, *FRAMING_NAMES):
            yield HeaderOp(name=name.lower().encode(), value=value.encode(), formatted="%" in value)


def authority_of(operations: HeaderOperations | None) -> bytes:
    """The Host that request operations write: one that is set comes before one that is added."""
    if operations is None:
        return b""
    for values in (operations.set, operations.add):
        for name, value in values.items():
            if name.lower() in AUTHORITY_NAMES:
                return value.encode()
    return b""


def joined(first: HeaderOps | None, second: HeaderOps | None) -> HeaderOps | None:
    """Two levels as one, the second after the first: what it sets overwrites what the first set or added."""
    if first is None or second is None:
        return first or second
    overwritten = {op.name for op in second.set}
    return level(
        tuple(dict.fromkeys((*first.remove, *second.remove))),
        tuple(op for op in first.set if op.name not in overwritten) + second.set,
        tuple(op for op in first.add if op.name not in overwritten) + second.add,
    )
