"""How far a socket's life is: its states, and what may follow each."""

from __future__ import annotations

from typing import Final

CONNECTING: Final = 0
OPEN: Final = 1
ENDING: Final = 2  # our FIN follows what waits to be written, and the connection's making
ENDED: Final = 3  # it is sent
CLOSING: Final = 4  # nobody cares for it any more, but what waits is written
CLOSED: Final = 5

#: What may follow each state; all changes go through `SocketTransport._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    CONNECTING: frozenset({OPEN, ENDING, CLOSED}),
    OPEN: frozenset({ENDING, CLOSING, CLOSED}),
    ENDING: frozenset({ENDED, CLOSING, CLOSED}),
    ENDED: frozenset({CLOSING, CLOSED}),
    CLOSING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}
