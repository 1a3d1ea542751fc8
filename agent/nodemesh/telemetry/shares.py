"""Spans that wait, within a bound that namespaces share: each may have what the others leave free."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .span import Span


class Shares:
    """Up to `limit` spans. Where there is no room, the namespace with the most loses its newest one: a client that has
    each of its requests traced takes nobody else's place."""

    __slots__ = ("limit", "_owners", "_size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._owners: dict[str, deque[Span]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, span: Span) -> bool:
        """One more; whether all have room."""
        owner = owner_of(span)
        own = self._owners.setdefault(owner, deque())
        own.append(span)
        if self._size < self.limit:
            self._size += 1
            return True
        greatest = max(self._owners, key=lambda name: len(self._owners[name]))
        if len(self._owners[greatest]) == len(own):
            greatest = owner  # who comes does not push out who has no more
        self._pop(greatest, newest=True)
        return False

    def put_back(self, spans: Iterable[Span]) -> int:
        """These were taken, and come first again; how many have no room any more."""
        lost = 0
        for span in reversed(list(spans)):
            if self._size < self.limit:
                self._owners.setdefault(owner_of(span), deque()).appendleft(span)
                self._size += 1
            else:
                lost += 1
        return lost

    def take(self, most: int) -> list[Span]:
        """The oldest ones, of all namespaces in turn."""
        found: list[Span] = []
        while self._owners and len(found) < most:
            for owner in list(self._owners)[: most - len(found)]:
                found.append(self._pop(owner))
                self._size -= 1
        return found

    def _pop(self, owner: str, *, newest: bool = False) -> Span:
        own = self._owners[owner]
        span = own.pop() if newest else own.popleft()
        if not own:
            del self._owners[owner]
        return span


def owner_of(span: Span) -> str:
    """The client's namespace."""
    return span.service.rpartition(".")[2]
