"""How long a client's connection may say nothing: a verdict, by what is owed."""

from __future__ import annotations

from typing import Final

#: Seconds for a request's head to come in full once it has begun (nginx's client_header_timeout).
HEAD_TIMEOUT: Final = 60.0

#: Seconds a connection may stay without a request (Envoy's idle_timeout).
IDLE_TIMEOUT: Final = 3600.0

# What becomes of a connection.
WAIT: Final = 0
CLOSE: Final = 1
REFUSE: Final = 2  # what has come of a head (408)
DROP: Final = 3  # with the request whose body does not come


def verdict(waited: float, *, owed: bool, in_head: bool, in_body: bool, busy: bool) -> int:
    """After so many seconds. `owed`: a gateway's client whose first request is to come, and who may mean ill by saying
    nothing; `busy`: an answer is on its way."""
    if in_head:
        return REFUSE if waited >= HEAD_TIMEOUT else WAIT
    if owed and waited >= HEAD_TIMEOUT:
        return CLOSE
    if waited < IDLE_TIMEOUT:
        return WAIT
    if in_body:
        return DROP
    return WAIT if busy else CLOSE
