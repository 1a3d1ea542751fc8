"""Whether a socket is read: its states, what each makes of what happens, and what epoll watches for in each."""

from __future__ import annotations

from select import EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Final

#: Events, as numbers of ours: what a module of the standard library has is looked up each time.
READABLE: Final = int(EPOLLIN)
WRITABLE: Final = int(EPOLLOUT)

READING: Final = 0
PAUSED: Final = 1  # by its handler
STOPPED: Final = 2  # by its pod's gate: the pod as a whole is not read
HELD: Final = 3  # by both
OVER: Final = 4  # the peer's FIN was read

#: By state, that after each event; an event that does not concern a state leaves it as it is. Lists, of which mypyc
#: takes one member: of a tuple it makes an object first.
ON_PAUSE: Final = [PAUSED, PAUSED, HELD, HELD, OVER]
ON_RESUME: Final = [READING, READING, STOPPED, STOPPED, OVER]
ON_STOP: Final = [STOPPED, HELD, STOPPED, HELD, OVER]
ON_REOPEN: Final = [READING, PAUSED, READING, PAUSED, OVER]

#: By state, what epoll watches for.
INTEREST: Final = [READABLE, 0, EPOLLRDHUP, 0, 0]
