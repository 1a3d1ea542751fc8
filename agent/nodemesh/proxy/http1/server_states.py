"""How far the life of a client's connection is: its states, and what may follow each."""

from __future__ import annotations

from typing import Final

SERVING: Final = 0
LAST: Final = 1  # it ends with the present request, or with the next one
CLOSING: Final = 2  # no more requests are read
CLOSED: Final = 3  # or someone else's

#: All changes go through `Http1Server._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    SERVING: frozenset({LAST, CLOSING, CLOSED}),
    LAST: frozenset({CLOSING, CLOSED}),
    CLOSING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
