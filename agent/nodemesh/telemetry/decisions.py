"""The ring of the last requests and connections: what was asked, who answered, and which rule of whose decided."""

from __future__ import annotations

from collections import deque
from typing import Final

from .decision_record import DecisionRecord, describe
from .record import ConnectionRecord, RequestRecord
from .values import has_failed

#: Records of each kind that are kept.
CAPACITY: Final = 256

#: Characters of a path, a host or a failure's text that are kept: they are peers' words.
SHOWN: Final = 1024


class Decisions:
    """The last `capacity` records, and as many of the last that failed; the proxy gives each away for good, so they are
    described only when asked for."""

    __slots__ = ("_ring", "_failed")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._ring: deque[ConnectionRecord] = deque(maxlen=capacity)
        self._failed: deque[ConnectionRecord] = deque(maxlen=capacity)

    def extend(self, records: list[ConnectionRecord]) -> None:
        """Take what has ended; the access log has no more use for it."""
        for record in records:
            if type(record) is RequestRecord:
                record.user_agent = record.forwarded_for = record.original_path = b""
                record.fields = record.response_fields = record.trailer_fields = None
                size = len(record.path) + len(record.authority) + len(record.method) + len(record.request_id)
                usual = 200 <= record.status < 500 and not record.reasons and size <= SHOWN
            else:
                usual = False
            if not usual:
                shorten(record)
                if has_failed(record):
                    self._failed.append(record)
        self._ring.extend(records)

    def take(self) -> list[DecisionRecord]:
        """What has come since this was asked last, oldest first."""
        last = set(map(id, self._ring))
        found = [describe(record) for record in self._failed if id(record) not in last]
        found += [describe(record) for record in self._ring]
        self._failed.clear()
        self._ring.clear()
        return found


def shorten(record: ConnectionRecord) -> None:
    """Keep no more of what peers have said than is shown."""
    if len(record.authority) > SHOWN:
        record.authority = record.authority[:SHOWN] + b"..."
    if len(record.transport_failure) + len(record.termination) > SHOWN:
        record.transport_failure, record.termination = record.transport_failure[:SHOWN], record.termination[:SHOWN]
    if isinstance(record, RequestRecord) and len(record.path) + len(record.method) + len(record.request_id) > SHOWN:
        record.path = record.path[:SHOWN] + b"..."
        record.method = record.method[:SHOWN]
        record.request_id = record.request_id[:SHOWN]
