"""Where a request stands in a trace: its identifiers, and whether what is known of it is to be exported."""

from __future__ import annotations

from ..routing.observation import TraceRule


class Trace:
    """Identifiers are in hexadecimal digits: 32 of the trace, 16 of spans."""

    __slots__ = ("rule", "trace_id", "span_id", "parent_id", "sampled")

    def __init__(self, rule: TraceRule, trace_id: bytes, span_id: bytes, parent_id: bytes, sampled: bool) -> None:
        self.rule = rule
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id  # empty where the trace begins here
        self.sampled = sampled
