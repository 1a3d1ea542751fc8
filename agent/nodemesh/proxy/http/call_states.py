"""The states of a call."""

from __future__ import annotations

from typing import Final

NEW: Final = 0
QUEUED: Final = 1  # no connection may be opened yet
SENT: Final = 2  # to an upstream that has not answered
RESTING: Final = 3  # between two tries
ANSWERED: Final = 4  # the response's body is coming
SWITCHED: Final = 5  # the connection speaks another protocol now
ENDED: Final = 6

#: What may follow each state; all changes go through `Call._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    NEW: frozenset({QUEUED, SENT, ENDED}),
    QUEUED: frozenset({QUEUED, SENT, ENDED}),  # again where the endpoint is gone for which it waited
    SENT: frozenset({QUEUED, SENT, RESTING, ANSWERED, SWITCHED, ENDED}),
    RESTING: frozenset({QUEUED, SENT, ENDED}),
    ANSWERED: frozenset({ENDED}),
    SWITCHED: frozenset({ENDED}),
    ENDED: frozenset(),
}
