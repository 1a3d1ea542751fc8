"""The numbers by which the kernel's maps know the views of this node's pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..routing.client import Client
from ..routing.frontend import Frontend
from ..routing.view import View
from ..routing.views import Views

#: The view of a client that nothing tells apart: the kernel's maps hold it once, the others as what differs from it.
BASE = 0
BASE_CLIENT = Client(namespace="default")


class KernelView:
    """What a view has for the kernel, with the addresses of names as they are now."""

    def __init__(self, view: View, resolved: Mapping[str, tuple[str, ...]]) -> None:
        self._view = view
        self._resolved = resolved

    def frontends(self) -> Iterator[Frontend]:
        return self._view.frontends(self._resolved)


class ViewNumbers:
    """Gives every view that a pod has a number, and keeps it over versions for as long as pods do: a pod whose view
    changed finds what it needs under its old number until it is moved."""

    def __init__(self) -> None:
        self._views: Views | None = None
        self._by_client: dict[str, int] = {}  # a pod's number, by its name
        self._views_by_number: dict[int, View] = {}

    def assign(self, views: Views, clients: Mapping[str, Client]) -> None:
        """Number the views of these clients (by name) in new tables."""
        base = views.for_client(BASE_CLIENT)
        numbers: dict[int, int] = {id(base): BASE}
        held: dict[int, View] = {BASE: base}
        before = {name: number for name, number in self._by_client.items() if name in clients}
        found = {name: views.for_client(client) for name, client in clients.items()}
        for name, view in found.items():
            old = before.get(name)
            if id(view) not in numbers and old is not None and old not in held:
                numbers[id(view)] = old
                held[old] = view
        free = iter(number for number in range(1, len(clients) + len(before) + 2) if number not in before.values())
        for view in found.values():
            if id(view) not in numbers:
                number = next(free)
                numbers[id(view)] = number
                held[number] = view
        for name, number in before.items():  # vacated, but not moved away from yet
            held.setdefault(number, found[name])
        self._views = views
        self._by_client = {name: numbers[id(view)] for name, view in found.items()}
        self._views_by_number = held

    def number(self, name: str) -> int:
        """The number of a pod's view."""
        return self._by_client.get(name, BASE)

    def numbered(self) -> list[tuple[int, View]]:
        """The views by number, the base first."""
        return sorted(self._views_by_number.items())
