"""The relay's connections: so many of one address. Anybody may open some before a token is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

#: Of one address. An agent has one for each kind that it watches, some forty.
CONNECTIONS = 256


class Doors:
    """Makes the protocols of connections; `inside` makes those that serve them."""

    def __init__(self, inside: Callable[[], asyncio.Protocol]) -> None:
        self._inside = inside
        self.open: Counter[str] = Counter()  # by address

    def __call__(self) -> asyncio.Protocol:
        return Door(self, self._inside())


class Door(asyncio.Protocol):
    """Hands everything on to who serves, where there is room for its address."""

    def __init__(self, doors: Doors, inside: asyncio.Protocol) -> None:
        self._doors = doors
        self._inside: asyncio.Protocol | None = inside
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        if self._doors.open[self._address] >= CONNECTIONS:
            self._inside = None
            assert isinstance(transport, asyncio.Transport)
            transport.abort()
        elif self._inside is not None:
            self._doors.open[self._address] += 1
            self._inside.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._inside is None:
            return
        self._doors.open[self._address] -= 1
        if not self._doors.open[self._address]:
            del self._doors.open[self._address]
        self._inside.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._inside is not None:
            self._inside.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inside.eof_received() if self._inside is not None else None

    def pause_writing(self) -> None:
        if self._inside is not None:
            self._inside.pause_writing()

    def resume_writing(self) -> None:
        if self._inside is not None:
            self._inside.resume_writing()
