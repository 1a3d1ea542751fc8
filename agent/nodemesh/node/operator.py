"""The operator's socket: takes orders from commands that the agent's own user, or root, has started."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterator, Sequence

import msgspec

from ..proxy.messages import Message
from ..registry.carry import CarryError, decode_snapshot
from .channel import Channel, Closed, listen, read_memfd
from .fleet import Fleet
from .logs import Log
from .orders import LONGEST, Accepted, Declined, FromCommand, OrderHeads, OrderReply, OrderShadow
from .recording import Recording
from .shadow import ShadowControl

log = Log("control")

#: Commands at once; one that sends no order is one of them.
COMMANDS = 16

#: struct ucred of SO_PEERCRED (unix(7)).
CREDENTIALS = struct.Struct("3i")

Link = Channel[FromCommand]


class Operator:
    """Does what commands want, each as long as it stays connected."""

    def __init__(self, path: str, fleet: Fleet, shadow: ShadowControl) -> None:
        self._fleet = fleet
        self._shadow = shadow
        self._links: dict[Link, int] = {}  # with the command's process
        self._shadowing: Link | None = None
        self._recording: tuple[Link, Recording] | None = None
        self._timers: dict[Link, asyncio.TimerHandle] = {}
        self._listener = listen(path)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for link in list(self._links):
            self._drop(link)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        pid, user, _ = CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if user not in (0, os.geteuid()) or len(self._links) >= COMMANDS:
            log.warning("a command was turned away", pid=pid, user=user)
            sock.close()
            return
        sock.setblocking(False)
        link: Link = Channel(sock, FromCommand)
        self._links[link] = pid
        asyncio.get_running_loop().add_reader(sock, self._hear, link)

    def _hear(self, link: Link) -> None:
        try:
            order, fds = link.receive()
        except BlockingIOError:
            return
        except (Closed, msgspec.DecodeError):
            self._drop(link)
            return
        if isinstance(order, OrderShadow):
            reply = self._begin_shadow(link, order, fds)
        else:
            reply = self._begin_recording(link, order)
        for fd in fds:
            os.close(fd)
        self._say(link, reply)

    def _say(self, link: Link, reply: OrderReply) -> None:
        try:
            link.send(reply)
        except (Closed, BlockingIOError):
            self._drop(link)

    def _begin_shadow(self, link: Link, order: OrderShadow, fds: list[int]) -> OrderReply:
        if self._shadowing is not None:
            return Declined(error=f"a shadow is on already, by process {self._links[self._shadowing]}; end it first")
        if not fds:
            return Declined(error="the order came without a candidate")
        try:
            above = decode_snapshot(read_memfd(fds.pop()))
        except CarryError as error:
            return Declined(error=str(error))
        seconds = min(max(order.seconds, 0.0), LONGEST)
        self._shadow.order(above, seconds, f"nodemesh shadow (process {self._links[link]})")
        self._shadowing = link
        self._shadow.follow()
        if not self._shadow.on:
            self._end_shadow()
            return Declined(error="the candidate could not be compiled; the agent's log says why")
        self._timers[link] = asyncio.get_running_loop().call_later(seconds, self._drop, link)
        return Accepted()

    def _end_shadow(self) -> None:
        self._shadowing = None
        self._shadow.withdraw()
        self._shadow.follow()

    def _begin_recording(self, link: Link, order: OrderHeads) -> OrderReply:
        if self._recording is not None:
            return Declined(error=f"process {self._links[self._recording[0]]} records already; end it first")
        recording = Recording(self._fleet, link, order, lambda: self._drop(link))
        self._recording = link, recording
        return Accepted()

    def replay(self) -> Iterator[tuple[Message, Sequence[int]]]:
        """What a new worker is told of a recording."""
        if self._recording is not None:
            yield from self._recording[1].replay()

    def _drop(self, link: Link) -> None:
        """A command has ended, or its time is up."""
        if link not in self._links:
            return
        timer = self._timers.pop(link, None)
        if timer is not None:
            timer.cancel()
        asyncio.get_running_loop().remove_reader(link.fileno())
        if self._shadowing is link:
            self._end_shadow()
        if self._recording is not None and self._recording[0] is link:
            self._recording[1].end()
            self._recording = None
        del self._links[link]
        link.close()
