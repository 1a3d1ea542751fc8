"""The listeners that workers accept from, with the identity behind each; kept in the supervisor's store by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..proxy.messages import AddListener, DnsSockets, Message, RemoveListener, UpdateClient
from ..routing.client import Client
from .store import StoreClient

#: Where a listener's descriptors stand in the store: its socket, beside it the namespace for upstream sockets, and
#: further sockets of the same listener.
SOCKET = "listener:"
NAMESPACE = "namespace:"


def stored_as(name: str, position: int) -> str:
    """The key of one of a listener's descriptors."""
    return (SOCKET, NAMESPACE)[position] + name if position < 2 else f"socket-{position}:{name}"


Announce = Callable[[Message, Sequence[int]], None]


class StoredListener(msgspec.Struct):
    """One listener; `fds` are its socket and, for a pod, its network namespace, then further sockets if it has any."""

    name: str
    message: AddListener
    fds: tuple[int, ...]


class Listeners:
    """Announces each change to the workers at once; `replay` tells a new worker everything. Names are the caller's:
    a listener keeps its number over a restart of control, so that workers know it again."""

    def __init__(self, store: StoreClient, announce: Announce) -> None:
        self._store = store
        self._announce = announce
        self._by_name: dict[str, StoredListener] = {}
        self._left: dict[str, tuple[int, tuple[int, ...]]] = {}  # of a predecessor: number and descriptors
        self._next = 1
        for key, kept in store.kept.items():
            if key.startswith(SOCKET):
                name = key.removeprefix(SOCKET)
                fds = [kept.fd]
                while (beside := store.kept.get(stored_as(name, len(fds)))) is not None:
                    fds.append(beside.fd)
                self._left[name] = (int(kept.note), tuple(fds))
                self._next = max(self._next, int(kept.note) + 1)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[StoredListener]:
        return iter(self._by_name.values())

    def left(self, name: str) -> tuple[int, ...] | None:
        """The descriptors that a predecessor had opened under this name and nobody has claimed yet."""
        found = self._left.get(name)
        return found[1] if found is not None else None

    def add(
        self,
        name: str,
        fds: tuple[int, ...],
        client: Client,
        destination: tuple[str, int] | None = None,
        gateway_port: int = 0,
        dns: DnsSockets | None = None,
    ) -> None:
        """Announce a listener; the descriptors are ours from now on. What a predecessor left is known by its number."""
        left = self._left.pop(name, None)
        if left is not None and left[1] != fds:
            for fd in left[1]:
                os.close(fd)
        number = left[0] if left is not None else self._next
        self._next = max(self._next, number + 1)
        message = AddListener(id=number, client=client, destination=destination, gateway_port=gateway_port, dns=dns)
        self._by_name[name] = StoredListener(name=name, message=message, fds=fds)
        if left is None or left[1] != fds:
            for position, fd in enumerate(fds):
                self._store.put(stored_as(name, position), fd, "" if position else str(number))
        self._announce(message, fds)

    def update(self, name: str, client: Client) -> None:
        """The workload behind the listener has changed."""
        listener = self._by_name[name]
        if listener.message.client == client:
            return
        listener.message = msgspec.structs.replace(listener.message, client=client)
        self._announce(UpdateClient(id=listener.message.id, client=client), ())

    def remove(self, name: str) -> None:
        """Close the listener, here, at the workers and in the store."""
        listener = self._by_name.pop(name, None)
        if listener is not None:
            self._discard(name, listener.message.id, listener.fds)

    def drop_left(self) -> None:
        """Close what a predecessor left and nobody claimed."""
        for name, (number, fds) in self._left.items():
            self._discard(name, number, fds)
        self._left.clear()

    def replay(self) -> Iterator[tuple[Message, tuple[int, ...]]]:
        """What a worker is to be told that knows of none."""
        for listener in self._by_name.values():
            yield listener.message, listener.fds

    def _discard(self, name: str, number: int, fds: tuple[int, ...]) -> None:
        self._announce(RemoveListener(id=number), ())
        for position, fd in enumerate(fds):
            self._store.drop(stored_as(name, position))
            os.close(fd)
