"""A request's place in a trace, read from its fields and written into them: W3C Trace Context, and Zipkin's B3.

Which trace a request belongs to, and whether it is sampled, is the client's word where it has any; else a trace begins
here. Who sends B3 gets B3 in the next hop too; `traceparent` is always written."""

from __future__ import annotations

import re
from random import Random
from typing import Final, NamedTuple

from ...routing.observation import TraceRule
from ...telemetry.trace import Trace
from .head import Edits
from .request_id import RequestIds

TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"
B3: Final = b"b3"
B3_TRACE: Final = b"x-b3-traceid"
B3_SPAN: Final = b"x-b3-spanid"
B3_PARENT: Final = b"x-b3-parentspanid"
B3_SAMPLED: Final = b"x-b3-sampled"
B3_FLAGS: Final = b"x-b3-flags"

#: Version, trace, parent and flags (W3C Trace Context, section 3.2); later versions may have more behind.
PARENT_RULE: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
NO_TRACE: Final = b"0" * 32
NO_SPAN: Final = b"0" * 16

#: Identifiers of B3: of a trace in 64 or 128 bits, of a span.
B3_TRACE_RULE: Final = re.compile(rb"[0-9a-fA-F]{16}(?:[0-9a-fA-F]{16})?")
B3_SPAN_RULE: Final = re.compile(rb"[0-9a-fA-F]{16}")

#: B3's decisions; `d` and X-B3-Flags: 1 are for debugging, and sampled.
DECISIONS: Final[dict[bytes, bool]] = {b"1": True, b"d": True, b"true": True, b"0": False, b"false": False}


class Context(NamedTuple):
    """What a client has said: no identifiers where it has only decided, no decision where it leaves that to us."""

    trace_id: bytes
    span_id: bytes
    sampled: bool | None


NOTHING: Final = Context(b"", b"", None)


def read_context(headers: dict[bytes, bytes]) -> Context:
    """What the fields of a request say. W3C's counts before B3's."""
    parent = headers.get(TRACEPARENT)
    if parent is not None:
        found = PARENT_RULE.fullmatch(parent)
        if found is not None:
            version, trace, span, flags, more = found.groups()
            if trace != NO_TRACE and span != NO_SPAN and version != b"ff" and not (version == b"00" and more):
                return Context(trace, span, bool(int(flags, 16) & 1))
    single = headers.get(B3)
    if single is not None:
        parts = single.split(b"-")
        if len(parts) == 1:
            return Context(b"", b"", DECISIONS.get(parts[0]))
        return _identified(parts[0], parts[1], DECISIONS.get(parts[2]) if len(parts) > 2 else None)
    if B3_TRACE in headers or B3_SAMPLED in headers or B3_FLAGS in headers:
        sampled = DECISIONS.get(headers.get(B3_SAMPLED, b"").lower())
        if headers.get(B3_FLAGS) == b"1":
            sampled = True
        return _identified(headers.get(B3_TRACE, b""), headers.get(B3_SPAN, b""), sampled)
    return NOTHING


def _identified(trace: bytes, span: bytes, sampled: bool | None) -> Context:
    if B3_TRACE_RULE.fullmatch(trace) is None or B3_SPAN_RULE.fullmatch(span) is None:
        return Context(b"", b"", sampled)
    trace = trace.lower().rjust(32, b"0")
    if trace == NO_TRACE:
        return Context(b"", b"", sampled)
    return Context(trace, span.lower(), sampled)


def begin_trace(rule: TraceRule, headers: dict[bytes, bytes], rng: Random, ids: RequestIds) -> Trace:
    """The place of a request that has come with these fields; identifiers are made of `ids`, which are UUIDs."""
    context = read_context(headers)
    sampled = context.sampled
    if sampled is None:
        sampled = rng.random() < rule.sampling
    digits = ids.next().replace(b"-", b"")
    # Where a trace begins, half of its identifier is the first span's: Zipkin's clients do the same.
    return Trace(rule, context.trace_id or digits, digits[16:], context.span_id, sampled)


def write_context(trace: Trace, headers: dict[bytes, bytes], edits: Edits) -> None:
    """Have the next hop know where it stands; a rule's own word for a field counts before ours."""
    if not trace.rule.propagate:
        return
    sampled = b"1" if trace.sampled else b"0"
    edits.setdefault(TRACEPARENT, b"traceparent: 00-%b-%b-0%b" % (trace.trace_id, trace.span_id, sampled))
    if TRACESTATE in headers and not trace.parent_id:
        edits.setdefault(TRACESTATE, b"")  # it belongs to a traceparent that is none (section 3.3)
    if B3 in headers:
        line = b"b3: %b-%b-%b" % (trace.trace_id, trace.span_id, sampled)
        edits.setdefault(B3, line + b"-" + trace.parent_id if trace.parent_id else line)
    if B3_TRACE in headers or B3_SAMPLED in headers:
        edits.setdefault(B3_TRACE, b"x-b3-traceid: " + trace.trace_id)
        edits.setdefault(B3_SPAN, b"x-b3-spanid: " + trace.span_id)
        edits.setdefault(B3_SAMPLED, b"x-b3-sampled: " + sampled)
        if trace.parent_id:
            edits.setdefault(B3_PARENT, b"x-b3-parentspanid: " + trace.parent_id)
        elif B3_PARENT in headers:
            edits.setdefault(B3_PARENT, b"")
