"""The states of a call, each a bit of a set of them."""

from __future__ import annotations

from typing import Final

NEW: Final = 1
QUEUED: Final = 2  # no connection may be opened yet
SENT: Final = 4  # to an upstream that has not answered
BACKING_OFF: Final = 8  # between two tries
ANSWERED: Final = 16  # the response's body is coming
SWITCHED: Final = 32  # the connection speaks another protocol now
ENDED: Final = 64

#: What may follow each state; all changes go through `Call._enter`.
NEXT: Final[dict[int, int]] = {
    NEW: QUEUED | SENT | ENDED,
    QUEUED: QUEUED | SENT | ENDED,  # again where the endpoint is gone for which it waited
    SENT: QUEUED | SENT | BACKING_OFF | ANSWERED | SWITCHED | ENDED,
    BACKING_OFF: QUEUED | SENT | ENDED,
    ANSWERED: ENDED,
    SWITCHED: ENDED,
    ENDED: 0,
}
