"""The listeners that workers accept from, with the identity behind each; kept in the supervisor's store by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..proxy.messages import AddListener, Descriptor, DnsSockets, Message, RemoveListener, UpdateClient
from ..proxy.peer import ListenerRole
from ..routing.client import Client
from .store import StoreClient, StoreEntry

# Where a listener's descriptors stand in the store, whose keys an older agent's successor has to know.
SOCKET = "listener:"  # its first socket, with its number as the note
NAMESPACE = "namespace:"


class Descriptors(NamedTuple):
    """A listener's: its sockets, and the network namespace for upstream sockets (-1: the worker's own)."""

    sockets: tuple[int, ...]
    namespace: int = -1

    @property
    def all(self) -> tuple[int, ...]:
        return self.sockets if self.namespace < 0 else (*self.sockets, self.namespace)

    @property
    def names(self) -> tuple[Descriptor, ...]:
        """What each of `all` is."""
        return tuple(Descriptor.NAMESPACE if fd == self.namespace else Descriptor.SOCKET for fd in self.all)

    def stored(self, name: str) -> Iterator[tuple[str, int]]:
        """All by their keys in the store."""
        for number, fd in enumerate(self.sockets):
            yield socket_key(name, number), fd
        if self.namespace >= 0:
            yield NAMESPACE + name, self.namespace


def socket_key(name: str, number: int) -> str:
    return f"socket-{number + 1}:{name}" if number else SOCKET + name


def descriptors_in(kept: Mapping[str, StoreEntry], name: str) -> Descriptors:
    """Those of a listener that are in the store."""
    sockets: list[int] = []
    while (entry := kept.get(socket_key(name, len(sockets)))) is not None:
        sockets.append(entry.fd)
    beside = kept.get(NAMESPACE + name)
    return Descriptors(tuple(sockets), beside.fd if beside is not None else -1)


Announce = Callable[[Message, Sequence[int]], None]


class StoredListener(msgspec.Struct):
    """One listener, as workers hear of it."""

    name: str
    message: AddListener
    fds: Descriptors


class Listeners:
    """Announces each change to the workers at once; `replay` tells a new worker everything. Names are the caller's:
    a listener keeps its number over a restart of control, so that workers know it again."""

    def __init__(self, store: StoreClient, announce: Announce) -> None:
        self._store = store
        self._announce = announce
        self._by_name: dict[str, StoredListener] = {}
        self._left: dict[str, tuple[int, Descriptors]] = {}  # of a predecessor: number and descriptors
        self._next = 1
        for key, kept in store.kept.items():
            if key.startswith(SOCKET):
                name = key.removeprefix(SOCKET)
                self._left[name] = (int(kept.note), descriptors_in(store.kept, name))
                self._next = max(self._next, int(kept.note) + 1)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[StoredListener]:
        return iter(self._by_name.values())

    def left(self, name: str) -> Descriptors | None:
        """The descriptors that a predecessor had opened under this name and nobody has claimed yet."""
        found = self._left.get(name)
        return found[1] if found is not None else None

    def namespace(self, name: str) -> int:
        """The descriptor of the network namespace that a listener was added with."""
        return self._by_name[name].fds.namespace

    def add(
        self,
        name: str,
        role: ListenerRole,
        fds: Descriptors,
        client: Client,
        destination: tuple[str, int] | None = None,
        gateway_port: int = 0,
        dns: DnsSockets | None = None,
    ) -> None:
        """Announce a listener; the descriptors are ours from now on. What a predecessor left is known by its number."""
        left = self._left.pop(name, None)
        if left is not None and left[1] != fds:
            for fd in left[1].all:
                os.close(fd)
        number = left[0] if left is not None else self._next
        self._next = max(self._next, number + 1)
        message = AddListener(
            id=number,
            role=role,
            descriptors=fds.names,
            client=client,
            destination=destination,
            gateway_port=gateway_port,
            dns=dns,
        )
        self._by_name[name] = StoredListener(name=name, message=message, fds=fds)
        if left is None or left[1] != fds:
            for key, fd in fds.stored(name):
                self._store.put(key, fd, str(number) if key.startswith(SOCKET) else "")
        self._announce(message, fds.all)

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
            yield listener.message, listener.fds.all

    def _discard(self, name: str, number: int, fds: Descriptors) -> None:
        self._announce(RemoveListener(id=number), ())
        for key, fd in fds.stored(name):
            self._store.drop(key)
            os.close(fd)
