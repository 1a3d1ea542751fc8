"""The states of an exchange, each a bit of a set of them."""

from __future__ import annotations

from typing import Final

RECEIVED: Final = 1  # not decided yet
DELAYED: Final = 2  # by a fault
CALLING: Final = 4  # an upstream
ANSWERING: Final = 8  # the response is on its way to the client
DONE: Final = 16

#: What may follow each state; all changes go through `Exchange._enter`.
NEXT: Final[dict[int, int]] = {
    RECEIVED: DELAYED | CALLING | ANSWERING | DONE,
    DELAYED: CALLING | ANSWERING | DONE,
    CALLING: ANSWERING | DONE,
    ANSWERING: DONE,
    DONE: 0,
}
