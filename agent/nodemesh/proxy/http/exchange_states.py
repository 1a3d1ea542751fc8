"""The states of an exchange."""

from __future__ import annotations

from typing import Final

RECEIVED: Final = 0  # not decided yet
DELAYED: Final = 1  # by a fault
CALLING: Final = 2  # an upstream
ANSWERING: Final = 3  # the response is on its way to the client
DONE: Final = 4

#: What may follow each state; all changes go through `Exchange._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    RECEIVED: frozenset({DELAYED, CALLING, ANSWERING, DONE}),
    DELAYED: frozenset({CALLING, ANSWERING, DONE}),
    CALLING: frozenset({ANSWERING, DONE}),
    ANSWERING: frozenset({DONE}),
    DONE: frozenset(),
}
