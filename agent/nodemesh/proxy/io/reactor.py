"""The epoll loop: sockets served fairly, pod by pod, and the timers of the one clock."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from typing import Final

from ...registry.snapshot import Endpoint
from ...routing.decision import Keepalive
from ..addresses import ADDRESSES
from ..doomed import Doomed
from ..gate import Account, Gate
from ..network import Acceptor, Asker, Datagram, Network, Watcher
from ..transport import READ_SIZE, Handler, Transport
from .datagrams import open_datagrams
from .dial import dial
from .lane import QUANTUM, Lane, Ready, still_due
from .listener import Listener
from .loop import Loop
from .memory import LOOK, Allocator
from .platform import Platform
from .served import Served
from .sockets import SocketTransport

log = logging.getLogger(__name__)

#: Seconds of a pod's turn, after which its other ready sockets wait for the next one: while other pods are at work as
#: well, and while it is alone.
TURN: Final = 0.00025
LONE_TURN: Final = 0.001

#: The least that one read takes. Whoever's bytes took longer than a shared turn (1-byte frames, fields without end)
#: gets half as much at once from then on, whatever protocol that is; who took less than a part of it twice as much.
MIN_READ: Final = 1024
QUICK: Final = 8.0

#: Seconds for which a pod counts as at work.
AT_WORK: Final = 0.1

#: Timers that fire in one turn, and in one go of it: thousands of connections may have come at the same moment, and
#: each may have much to do. A go after `TIMERS_TURN` seconds is not begun: timers are of all pods, and in nobody's
#: turn.
TIMERS: Final = 64
TIMERS_AT_ONCE: Final = 4
TIMERS_TURN: Final = 0.0005

#: The longest sleep: `Platform.beat` is due at least every 0.5 s.
LONGEST_WAIT: Final = 0.25


class Reactor(Network):
    """The loop. Each turn gives every pod that has something ready its quantum, of sockets and of time, then fires the
    timers. Who had none of the turn before comes first (as the sparse flows of FQ-CoDel, RFC 8290): a pod that asks now
    and then waits for the rest of a turn, and not for one more of all that are always busy."""

    __slots__ = (
        "loop", "clock", "running", "shared_turn", "lone_turn", "at_work", "allocator", "_number", "_last", "_crowd",
        "_stood",
    )  # fmt: skip

    def __init__(self, platform: Platform, workers: int = 1) -> None:
        self.loop = Loop(platform, workers)
        self.clock = self.loop.clock
        self.running = False
        self.shared_turn = TURN
        self.lone_turn = LONE_TURN
        self.at_work = AT_WORK
        self.allocator = Allocator()
        self.clock.after(LOOK, self._look)
        self._number = 0  # of the turn
        self._last: Lane | None = None  # whose turn was the last one
        self._crowd = 0.0  # until when more than one pod counts as at work
        self._stood: list[Served] = []  # at once, which is still to be told

    def add_lane(self) -> int:
        """A new pod's lane; its number is what `connect` and `listen` take."""
        return self.loop.lanes.add()

    def gate(self, lane: int) -> Gate:
        return self.loop.lanes.known[lane].gate

    @property
    def buffers(self) -> Account:
        return self.loop.lanes.buffers

    def _look(self) -> None:
        """Let go of memory that is not needed any more."""
        self.allocator.look(self.buffers)
        self.clock.after(LOOK, self._look)

    def drop_lane(self, lane: int, namespace: int) -> None:
        if namespace >= 0:
            os.close(namespace)
        self.loop.lanes.leave(lane)

    def listen(
        self, sock: socket.socket, lane: int, acceptor: Acceptor, destination: tuple[str, int] | None
    ) -> Listener:
        """Accept from a listening socket on a pod's account. All connections count as dialled to `destination`; None:
        the platform is asked for each."""
        return Listener(self.loop, sock, self.loop.lanes.known[lane], acceptor, destination)

    def watch(self, fd: int, watcher: Watcher) -> None:
        """Tell `watcher` when there is something to read."""
        self.loop.watch(fd, watcher)

    def unwatch(self, fd: int) -> None:
        self.loop.unwatch(fd)

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        address = ADDRESSES[endpoint.address, endpoint.port] if endpoint is not None else None
        place = self.loop.lanes.known[lane]
        try:
            sock, stands = dial(self.loop.platform, address, namespace, keepalive)
            transport = SocketTransport(self.loop, place, sock, handler, accepted=False, established=stands)
        except OSError as error:
            told = OSError(error.errno or errno.ECONNREFUSED, errno.errorcode.get(error.errno or 0, str(error)))
            doomed = Doomed(handler, self.clock, place.gate, told)
            doomed.remote = address.text if address is not None else ""
            return doomed
        if address is not None:
            transport.remote = address.text
        if stands:
            self._stood.append(transport)
        return transport

    def datagrams(self, peer: tuple[str, int], namespace: int, lane: int, asker: Asker) -> Datagram:
        return open_datagrams(self.loop, self.loop.lanes.known[lane], peer, namespace, asker)

    def turn(self) -> None:
        """Wait for events, serve them, fire the timers."""
        loop = self.loop
        lanes, clock = loop.lanes, loop.clock
        if loop.unsent or loop.prompted or self._stood:
            self.flush()
        wait = clock.wait()
        timeout = LONGEST_WAIT if wait is None or wait > LONGEST_WAIT else wait
        due = clock.now + timeout  # the first timer; none that this turn sets is due within it
        if lanes.busy or (lanes.lull.until and not lanes.lull.wait()):
            timeout = 0.0
        events = loop.poller.poll(timeout, 256)
        clock.now = time.monotonic()
        self._number += 1
        for fd, _ in events if len(events) < 2 else self._in_order(events):
            lane = lanes.known.get(fd)
            if lane is not None:
                left = still_due(lane.left) if lane.left else []
                lane.left = self._serve(lane, left or lane.ready(lane.poller))
            elif fd in lanes.streaming:
                self._serve_streams(lanes.streaming[fd])
            else:
                self._serve_watcher(fd)
        if lanes.busy:
            for lane in list(lanes.busy):
                if lane.turn != self._number:
                    self._serve(lane, [])
        if clock.now >= due:
            self._fire()
        if loop.released:
            released, loop.released = loop.released, []
            for sock in released:
                sock.close()
        loop.platform.beat()

    def _in_order(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Pods that had nothing of the turn before come first. Of the others each is the first one once: one whose pod
        has no time left waits."""
        of, before = self.loop.lanes.of, self._number - 1
        first: list[tuple[int, int]] = []
        behind: list[tuple[int, int]] = []
        for event in events:
            lane = of.get(event[0])
            (behind if lane is not None and lane.served == before else first).append(event)
        turned = self._number % len(behind) if behind else 0
        return first + behind[turned:] + behind[:turned]

    def _turn_of(self, lane: Lane, now: float) -> float:
        """When a pod's turn will be over that begins now, or goes on, while others are at work as well."""
        if lane is not self._last:
            if self._last is not None:
                self._crowd = self.clock.now + self.at_work
            self._last = lane
        if lane.served != self._number:
            lane.rest = self.shared_turn
        return now + lane.rest

    def _serve(self, lane: Lane, ready: Ready) -> Ready:
        """Serve a pod's ready sockets for as long as its turn is; returns those that are left."""
        monotonic = time.monotonic  # looked up once, and not for each socket
        now = monotonic()
        over = now + self.lone_turn if lane is self._last and now >= self._crowd else self._turn_of(lane, now)
        lane.served = self._number
        left: Ready = []
        for index in range(len(ready)):
            transport, mask = ready[index]
            if transport.closed:
                continue
            try:
                transport.ready(mask)
            except Exception:
                self._give_up(transport)
            before = now
            now = monotonic()
            if now - before > self.shared_turn:
                if transport.portion > MIN_READ:
                    transport.portion //= 2
            elif transport.portion < READ_SIZE and (now - before) * QUICK < self.shared_turn:
                transport.portion *= 2
            if now >= over:
                left = ready[index + 1 :]
                break
        lane.rest = over - now
        if lane.later and lane.turn != self._number:
            self._go_on(lane, over)
        self.flush()
        return left

    def _go_on(self, lane: Lane, over: float) -> None:
        """Do what a pod has left for a later turn: some of it in any case, so that it does not wait for a moment at
        which none of its sockets is ready."""
        lane.turn = self._number
        later = lane.later
        for _ in range(len(later)):
            callback = later.popleft()
            try:
                callback()
            except Exception:
                log.exception("what was left for a later turn failed")
            if time.monotonic() >= over:
                break
        if not later:
            del self.loop.lanes.busy[lane]

    def _fire(self) -> None:
        """The timers that are due."""
        clock = self.clock
        over = clock.now + TIMERS_TURN
        try:
            for _ in range(TIMERS // TIMERS_AT_ONCE):
                if not clock.advance(clock.now, TIMERS_AT_ONCE) or time.monotonic() >= over:
                    break
        except Exception:
            log.exception("a timer failed")

    def _serve_streams(self, lane: Lane) -> None:
        """One quantum of a pod's streams, then a lull if those were all."""
        streams = lane.streams
        if streams is None:
            return
        left = still_due(lane.streams_left)
        ready = left or lane.ready(streams.poller)
        lane.streams_left = self._serve(lane, ready)
        all_read = not left and not lane.streams_left and len(ready) < QUANTUM
        if all_read and streams.fd in self.loop.lanes.streaming:
            self.loop.lanes.lull.served(streams, self.clock.now)

    def flush(self) -> None:
        """Tell of connections that stood at once (whoever asked for them has the transports by now), prompt those that
        want it, and send what the ones that were served have to say. In one go, since a peer that sleeps is woken by
        the first message and awake for the rest: waking it is the dearest part of sending a small one."""
        while self._stood:
            stood, self._stood = self._stood, []
            for transport in stood:
                try:
                    transport.stood()
                except Exception:
                    self._give_up(transport)
        loop = self.loop
        while loop.prompted:
            prompted, loop.prompted = loop.prompted, {}
            for transport in prompted:
                try:
                    transport.handler.prompted()
                except Exception:
                    self._give_up(transport)
        unsent = loop.unsent
        if unsent:
            loop.unsent = []
            for transport in unsent:
                transport.flush()

    def _give_up(self, transport: Served) -> None:
        """Called where an exception came up: a defect of ours costs the connection that it shows on, no other."""
        log.exception("a connection failed: %s", transport.remote)
        handler = transport.handler
        transport.abort()
        try:
            handler.lost(OSError(errno.ECONNABORTED, "ECONNABORTED"))
        except Exception:
            log.exception("closing it failed, too")

    def _serve_watcher(self, fd: int) -> None:
        """A listener or a socket for datagrams, within the turn of its pod: while none of that is left it waits. Or the
        socket to control."""
        loop = self.loop
        watcher, lane = loop.watchers.get(fd), loop.lanes.of.get(fd)
        if lane is not None:
            if lane.served == self._number and lane.rest <= 0.0:
                return
            now = time.monotonic()
            alone = lane is self._last and now >= self._crowd
            loop.over = now + self.lone_turn if alone else self._turn_of(lane, now)
            lane.served = self._number
        try:
            if watcher is not None:
                watcher.readable()
        except Exception:
            log.exception("serving a %s failed", type(watcher).__name__)
        self.flush()
        if lane is not None:
            lane.rest = loop.over - time.monotonic()

    def run(self) -> None:
        """Turn until `stop`."""
        self.running = True
        while self.running:
            self.turn()

    def stop(self) -> None:
        self.running = False
