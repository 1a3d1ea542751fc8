"""Control's view of the workers: who is connected, what each has applied, what it is told and asked."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from ..proxy.messages import (
    PROTOCOL_VERSION,
    Applied,
    Connections,
    FromWorker,
    GetConnections,
    GetHeads,
    GetShadow,
    GetStatistics,
    Heads,
    Hello,
    Message,
    Refused,
    ShadowCounted,
    Statistics,
)
from .channel import Channel, Closed, read_memfd
from .logs import Log

log = Log("control")

#: A worker that does not take its messages is told no more than this many behind one another.
QUEUE_LIMIT = 100_000

#: Seconds that a worker has to answer a question.
ANSWER_TIMEOUT = 2.0


class WorkerLink:
    """One connected worker. Messages leave in order; those the socket does not take now wait."""

    def __init__(self, channel: Channel[FromWorker]) -> None:
        self.channel = channel
        self.number = -1  # until its Hello
        self.pid = 0
        self.applied = 0
        self.refused: Refused | None = None
        self.asked: dict[int, asyncio.Future[bytes]] = {}
        self._waiting: deque[tuple[Message, list[int]]] = deque()

    @property
    def key(self) -> str:
        """Names this very process."""
        return f"{self.number}/{self.pid}"

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Raises Closed."""
        if not self._waiting:
            try:
                self.channel.send(message, fds)
                return
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self.channel.fileno(), self._on_writable)
        if len(self._waiting) >= QUEUE_LIMIT:
            raise Closed(f"worker {self.number} does not take its messages")
        self._waiting.append((message, [os.dup(fd) for fd in fds]))

    def _on_writable(self) -> None:
        while self._waiting:
            message, fds = self._waiting[0]
            try:
                self.channel.send(message, fds)
            except BlockingIOError:
                return
            except Closed:
                break  # its end is read, too, and closes the link
            self._waiting.popleft()
            for fd in fds:
                os.close(fd)
        asyncio.get_running_loop().remove_writer(self.channel.fileno())

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.channel.fileno())
        loop.remove_writer(self.channel.fileno())
        self.channel.close()
        for _message, fds in self._waiting:
            for fd in fds:
                os.close(fd)
        self._waiting.clear()
        for future in self.asked.values():
            if not future.done():
                future.set_exception(Closed("the worker has died"))


#: What a new worker is told: messages with their descriptors, which are only borrowed.
Replay = Callable[[WorkerLink], Iterable[tuple[Message, Sequence[int]]]]


class Fleet:
    """All workers, over the listening socket that the supervisor holds. `changed` is called when a worker comes, goes
    or has applied tables; `gone` with the key of one that went."""

    def __init__(
        self, listener: socket.socket, replay: Replay, changed: Callable[[], None], gone: Callable[[str], None]
    ) -> None:
        self._listener = listener
        self._replay = replay
        self._changed = changed
        self._gone = gone
        self._links: set[WorkerLink] = set()
        self._questions = 0
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def __iter__(self) -> Iterator[WorkerLink]:
        """Those that have introduced themselves, by number."""
        return iter(sorted((link for link in self._links if link.pid), key=lambda link: link.number))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        for link in list(self._links):
            self._drop(link)

    def tell(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send to every worker; the descriptors stay the caller's."""
        for link in list(self):
            self.tell_one(link, message, fds)

    def tell_one(self, link: WorkerLink, message: Message, fds: Sequence[int] = ()) -> None:
        try:
            link.send(message, fds)
        except Closed as error:
            log.warning("worker is lost", worker=link.number, error=error)
            self._drop(link)

    async def statistics(self, kept: Callable[[str], int], heard: Callable[[str], int]) -> dict[str, bytes]:
        """The telemetry of each worker that answers in time, by the worker's key: its dumps after number `heard`, of
        which it need not hold those up to `kept` any longer."""
        return await self._ask(lambda number, key: GetStatistics(id=number, kept=kept(key), heard=heard(key)))

    async def connections(self) -> dict[str, bytes]:
        """The connections of each worker that answers in time, by the worker's key."""
        return await self._ask(lambda number, _key: GetConnections(id=number))

    async def shadow(self, run: int) -> dict[str, bytes]:
        """What the shadow of each worker that answers in time has counted, by the worker's key."""
        return await self._ask(lambda number, _key: GetShadow(id=number, run=run))

    async def heads(self, run: int) -> dict[str, bytes]:
        """The heads that each worker that answers in time has kept since it was asked last, by the worker's key."""
        return await self._ask(lambda number, _key: GetHeads(id=number, run=run))

    async def _ask(self, question: Callable[[int, str], Message]) -> dict[str, bytes]:
        self._questions += 1
        number = self._questions
        asked: dict[str, asyncio.Future[bytes]] = {}
        for link in list(self):
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            link.asked[number] = asked[link.key] = future
            self.tell_one(link, question(number, link.key))
        if asked:
            await asyncio.wait(asked.values(), timeout=ANSWER_TIMEOUT)
        for link in self._links:
            link.asked.pop(number, None)
        return {
            key: future.result()
            for key, future in asked.items()
            if future.done() and not future.cancelled() and future.exception() is None
        }

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        link = WorkerLink(Channel(sock, FromWorker))
        self._links.add(link)
        asyncio.get_running_loop().add_reader(sock, self._hear, link)

    def _hear(self, link: WorkerLink) -> None:
        try:
            message, fds = link.channel.receive()
        except BlockingIOError:
            return
        except (Closed, msgspec.DecodeError) as error:
            if isinstance(error, msgspec.DecodeError):
                log.error("worker speaks another language", worker=link.number, error=error)
            self._drop(link)
            return
        if isinstance(message, Hello):
            self._greet(link, message)
        elif isinstance(message, Applied):
            link.applied = message.version
            link.refused = None
            self._changed()
        elif isinstance(message, Refused):
            link.refused = message
            log.error("worker refused tables", worker=link.number, version=message.version, error=message.error)
            self._changed()
        elif isinstance(message, Statistics | Connections | ShadowCounted | Heads):
            future = link.asked.pop(message.id, None)
            if future is not None and not future.done():
                future.set_result(read_memfd(fds.pop()))
        for fd in fds:
            os.close(fd)

    def _greet(self, link: WorkerLink, hello: Hello) -> None:
        if hello.protocol != PROTOCOL_VERSION:
            log.error(
                "worker is of another version and gets no tables; it will be replaced when it ends",
                worker=hello.worker, speaks=hello.protocol, expected=PROTOCOL_VERSION,
            )  # fmt: skip
            self._drop(link)
            return
        link.number, link.pid = hello.worker, hello.pid
        for message, fds in self._replay(link):
            self.tell_one(link, message, fds)
        self._changed()

    def _drop(self, link: WorkerLink) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        link.close()
        if link.pid:
            self._gone(link.key)
        self._changed()
