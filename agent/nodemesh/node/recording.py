"""Heads of requests on their way from the workers to a command, as JSON lines: bounded in number, bytes and time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from ..proxy.messages import EndRecording, Message, SetRecording
from ..routing.heads import KeptHead
from .channel import Channel, Closed, memfd
from .fleet import Fleet
from .orders import LONGEST, Finished, FromCommand, HeadLines, OrderHeads

#: Seconds between two looks at what the workers have.
INTERVAL = 0.25

#: Bytes of lines that a slow command may leave waiting; what comes beyond is lost, and counted.
WAITING = 32 * 1024 * 1024

#: What workers may have of heads: how many, and how many were lost.
Taken = tuple[list[KeptHead], int]


class Recording:
    """One command's. `done` is called once it has all that it asked for."""

    _runs = 0

    def __init__(self, fleet: Fleet, link: Channel[FromCommand], order: OrderHeads, done: Callable[[], None]) -> None:
        Recording._runs += 1
        self._run = Recording._runs
        self._fleet = fleet
        self._link = link
        self._order = order
        self._done = done
        self._left = max(order.most, 0)
        self._room = max(order.size, 0)
        self._waiting = b""
        self._lost = 0
        self._until = time.monotonic() + min(max(order.seconds, 0.0), LONGEST)
        for message, fds in self.replay():
            fleet.tell(message, fds)
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="recording")

    def replay(self) -> Iterator[tuple[Message, Sequence[int]]]:
        """What a new worker is told."""
        yield SetRecording(run=self._run, most=self._left, shown=self._order.shown), ()

    def end(self) -> None:
        """The command has gone, or has all that it asked for."""
        self._task.cancel()
        self._fleet.tell(EndRecording(run=self._run))

    async def _follow(self) -> None:
        try:
            while self._left and self._room and time.monotonic() < self._until:
                await asyncio.sleep(min(INTERVAL, max(self._until - time.monotonic(), 0.0)))
                await self._fetch()
            while self._waiting:  # the command takes the last ones in its own time, or goes
                self._hand_over()
                await asyncio.sleep(INTERVAL)
            self._link.send(Finished(lost=self._lost))
        except (Closed, BlockingIOError):
            pass
        finally:
            asyncio.get_running_loop().call_soon(self._done)

    async def _fetch(self) -> None:
        heads: list[KeptHead] = []
        for data in (await self._fleet.heads(self._run)).values():
            taken, lost = msgspec.msgpack.decode(data, type=Taken)
            heads += taken
            self._lost += lost
        heads.sort(key=lambda head: head.at)
        for head in heads:
            line = msgspec.json.encode(head) + b"\n"
            if not self._left or len(line) > self._room:
                self._room = 0
                break
            if len(self._waiting) + len(line) > WAITING:
                self._lost += 1
                continue
            self._left -= 1
            self._room -= len(line)
            self._waiting += line
        self._hand_over()

    def _hand_over(self) -> None:
        """As much as the command takes now. Raises Closed."""
        if not self._waiting:
            return
        fd = memfd("nodemesh-heads", self._waiting)
        try:
            self._link.send(HeadLines(), (fd,))
            self._waiting = b""
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
