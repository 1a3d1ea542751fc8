"""The supervisor's store of file descriptors: what is in it outlives the process that put it there.

Listening sockets, the admin API's socket and counters of dead workers are kept by name. A new control process is
given all of it before anything else. The supervisor never looks into what it keeps."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import msgspec

from .channel import Channel


class Word(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of what the supervisor and control say to each other."""


class Put(Word, frozen=True, kw_only=True):
    """Keep this descriptor under this name, in place of what was there. `note` is the owner's."""

    name: str
    note: str = ""


class Drop(Word, frozen=True, kw_only=True):
    """Close what is kept under this name."""

    name: str


class Complete(Word, frozen=True, kw_only=True):
    """Supervisor to control: that was all of the store."""


class Started(Word, frozen=True, kw_only=True):
    """Control to supervisor: the start succeeded, from now on a death is worth a restart."""


class Ready(Word, frozen=True, kw_only=True):
    """Control to supervisor: the node is ready for the first time; a predecessor is not needed any more."""


class Children(Word, frozen=True, kw_only=True):
    """Supervisor to control: the processes it looks after, and how often each was started again."""

    pids: dict[str, int]
    restarts: dict[str, int]


ToControl = Put | Complete | Children
ToSupervisor = Put | Drop | Started | Ready


class StoreEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the store."""

    fd: int
    note: str = ""


class FdStore:
    """The supervisor's side."""

    def __init__(self) -> None:
        self._kept: dict[str, StoreEntry] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, name: str, fd: int, note: str = "") -> None:
        """Keep `fd`, which is the store's from now on."""
        self.drop(name)
        self._kept[name] = StoreEntry(fd=fd, note=note)

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def note(self, name: str) -> str:
        """The owner's note, empty where nothing is kept."""
        kept = self._kept.get(name)
        return kept.note if kept is not None else ""

    def fd(self, name: str) -> int:
        """What is kept under that name. Raises KeyError."""
        return self._kept[name].fd

    def drop(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            os.close(kept.fd)

    def clear(self, keep: str = "") -> None:
        """Close everything, but for what is kept under `keep`."""
        for name in list(self._kept):
            if name != keep:
                self.drop(name)

    def give(self, channel: Channel[ToSupervisor]) -> None:
        """Show everything to a new control process."""
        for name, kept in self._kept.items():
            channel.send(Put(name=name, note=kept.note), (kept.fd,))
        channel.send(Complete())


class StoreClient:
    """Control's side, over the socket that it was born with."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel: Channel[ToControl] = Channel(sock, ToControl)
        self.kept: dict[str, StoreEntry] = {}

    def load(self) -> Mapping[str, StoreEntry]:
        """Wait for the whole store; the descriptors in it are ours. Raises Closed."""
        while True:
            word, fds = self.channel.receive()
            if isinstance(word, Complete):
                return self.kept
            if isinstance(word, Put):
                self.kept[word.name] = StoreEntry(fd=fds[0], note=word.note)

    def put(self, name: str, fd: int, note: str = "") -> None:
        """Have the supervisor keep a duplicate of `fd`, which stays ours."""
        self.channel.send(Put(name=name, note=note), (fd,))

    def drop(self, name: str) -> None:
        self.channel.send(Drop(name=name))

    def started(self) -> None:
        self.channel.send(Started())

    def ready(self) -> None:
        self.channel.send(Ready())
