"""The epoll loop: sockets served fairly, pod by pod, and the timers of the one clock."""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from select import EPOLLEXCLUSIVE, EPOLLIN, epoll
from socket import SocketType
from typing import Final

from ...registry.snapshot import Endpoint
from ...routing.decision import Keepalive
from ..addresses import ADDRESSES
from ..clock import Clock
from ..doomed import Doomed
from ..gate import Account, Gate
from ..network import Acceptor, Asker, Datagram, Network, Watcher
from ..transport import Handler, Transport
from .datagrams import ask
from .dial import dial
from .listener import Listener
from .memory import LOOK, Allocator
from .pipes import Pipes
from .platform import Platform
from .sockets import SocketTransport
from .streams import Rest, Streams

log = logging.getLogger(__name__)

#: One read of a large body.
BULK_SIZE: Final = 256 * 1024

#: Sockets of one pod that are served before the next pod's turn; what they have to say is sent together.
QUANTUM: Final = 32

#: Seconds of a pod's turn, after which its other ready sockets wait for the next one: while other pods are at work as
#: well, and while it is alone.
TURN: Final = 0.00025
LONE_TURN: Final = 0.001

#: Seconds for which a pod counts as at work.
AT_WORK: Final = 0.1

#: Timers that fire in one turn: thousands of connections may have come at the same moment.
TIMERS: Final = 64

#: The longest sleep: `Platform.beat` is due at least every 0.5 s.
LONGEST_WAIT: Final = 0.25

#: Connections that the workers together take from a listener in one turn: each is as much work as several sockets that
#: are ready.
ACCEPTS: Final = 8

#: Sockets with the events that were told of them.
Ready = list[tuple[SocketTransport, int]]


class Lane:
    """One pod's sockets: an epoll inside the main one, so that a pod with many ready sockets takes the same turn as a
    pod with one, and another one for streams. `left` are those that were ready when the last turn was over."""

    __slots__ = ("poller", "left", "streams", "streams_left", "transports", "gate", "leaving")

    def __init__(self, buffers: Account) -> None:
        self.poller = epoll()
        self.left: Ready = []
        self.streams: Streams | None = None  # from the first one on
        self.streams_left: Ready = []
        self.transports: dict[int, SocketTransport] = {}
        self.gate = Gate(self.transports, buffers)
        self.leaving = False  # the pod is gone: close with the last socket


class Reactor(Network):
    """The loop. Each turn gives every pod that has something ready its quantum, of sockets and of time, then fires the
    timers."""

    __slots__ = (
        "clock",
        "platform",
        "accepts",
        "poller",
        "lanes",
        "streaming",
        "rest",
        "listeners",
        "watchers",
        "buffer",
        "pipes",
        "view",
        "running",
        "unsent",
        "released",
        "shared_turn",
        "lone_turn",
        "allocator",
        "_buffers",
        "_last",
        "_crowd",
        "_stood",
    )

    def __init__(self, platform: Platform, workers: int = 1) -> None:
        now = time.monotonic()
        self.clock = Clock(now, time.time() - now)
        self.platform = platform
        self.accepts = max(ACCEPTS // workers, 1)
        self.poller = epoll()
        self.lanes: dict[int, Lane] = {}
        self.streaming: dict[int, Lane] = {}  # by the descriptor of the streams' epoll
        self.rest = Rest(self.poller)
        self.listeners: dict[int, Listener] = {}
        self.watchers: dict[int, Watcher] = {}
        self.pipes = Pipes()
        self.buffer = bytearray(BULK_SIZE)
        self.view = memoryview(self.buffer)
        self.running = False
        self.unsent: list[SocketTransport] = []
        #: Sockets to close when this turn is over: a number must not come again while events for it are waiting.
        self.released: list[SocketType] = []
        self.shared_turn = TURN
        self.lone_turn = LONE_TURN
        self.allocator = Allocator()
        self._buffers = Account()
        self.clock.after(LOOK, self._look)
        self._last: Lane | None = None  # whose turn was the last one
        self._crowd = 0.0  # until when more than one pod counts as at work
        self._stood: list[SocketTransport] = []  # at once, which is still to be told

    def add_lane(self) -> int:
        """A new pod's lane; its number is what `connect` and `listen` take."""
        lane = Lane(self._buffers)
        number = lane.poller.fileno()
        self.lanes[number] = lane
        self.poller.register(number, EPOLLIN)
        return number

    def gate(self, lane: int) -> Gate:
        return self.lanes[lane].gate

    @property
    def buffers(self) -> Account:
        return self._buffers

    def _look(self) -> None:
        """Let go of memory that is not needed any more."""
        self.allocator.look(self._buffers)
        self.clock.after(LOOK, self._look)

    def drop_lane(self, lane: int, namespace: int) -> None:
        if namespace >= 0:
            os.close(namespace)
        self.lanes[lane].leaving = True
        if not self.lanes[lane].transports:
            self.close_lane(lane)

    def close_lane(self, number: int) -> None:
        """The last socket of a pod that is gone is closed."""
        lane = self.lanes.pop(number)
        streams = lane.streams
        if streams is not None:
            del self.streaming[streams.fd]
            self.rest.forget(streams)
            self.poller.unregister(streams.fd)
            streams.poller.close()
        self.poller.unregister(number)
        lane.poller.close()

    def stream_poller(self, lane: Lane) -> epoll:
        """The epoll of a pod's streams."""
        streams = lane.streams
        if streams is None:
            streams = lane.streams = Streams()
            self.streaming[streams.fd] = lane
            self.poller.register(streams.fd, EPOLLIN)
        return streams.poller

    def listen(
        self, sock: socket.socket, lane: int, acceptor: Acceptor, destination: tuple[str, int] | None
    ) -> Listener:
        """Accept from a listening socket on a pod's account. All connections count as dialled to `destination`; None:
        the platform is asked for each."""
        return Listener(self, sock, self.lanes[lane], acceptor, destination)

    def watch(self, fd: int, watcher: Watcher, shared: bool = False) -> None:
        """Tell `watcher` when there is something to read; where workers share the socket, not all of them."""
        self.watchers[fd] = watcher
        self.poller.register(fd, EPOLLIN | EPOLLEXCLUSIVE if shared else EPOLLIN)

    def unwatch(self, fd: int) -> None:
        if self.watchers.pop(fd, None) is not None:
            self.poller.unregister(fd)

    def connect(
        self, endpoint: Endpoint | None, namespace: int, lane: int, keepalive: Keepalive | None, handler: Handler
    ) -> Transport:
        address = ADDRESSES[endpoint.address, endpoint.port] if endpoint is not None else None
        place = self.lanes[lane]
        try:
            sock, stands = dial(self.platform, address, namespace, keepalive)
            transport = SocketTransport(self, place, sock, handler, False, stands)
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

    def ask(self, server: str, namespace: int, data: bytes, asker: Asker) -> Datagram:
        return ask(self, server, namespace, data, asker)

    def turn(self) -> None:
        """Wait for events, serve them, fire the timers."""
        self.flush()
        wait = self.clock.wait()
        timeout = LONGEST_WAIT if wait is None or wait > LONGEST_WAIT else wait
        if self.rest.until and not self.rest.wait():
            timeout = 0.0
        events = self.poller.poll(timeout, 256)
        self.clock.now = time.monotonic()
        for fd, _ in events:
            lane = self.lanes.get(fd)
            if lane is not None:
                lane.left = self._serve(lane, still_due(lane.left) or self._ready(lane.poller, lane))
            elif fd in self.streaming:
                self._serve_streams(self.streaming[fd])
            else:
                self._serve_other(fd)
        try:
            self.clock.advance(self.clock.now, TIMERS)
        except Exception:
            log.exception("a timer failed")
        if self.released:
            released, self.released = self.released, []
            for sock in released:
                sock.close()
        self.platform.beat()

    def _serve(self, lane: Lane, ready: Ready) -> Ready:
        """Serve a pod's ready sockets for as long as its turn is; returns those that are left."""
        if lane is not self._last:
            self._last = lane
            self._crowd = self.clock.now + AT_WORK
        start = time.monotonic()
        over = start + (self.shared_turn if start < self._crowd else self.lone_turn)
        left: Ready = []
        for index in range(len(ready)):
            transport, mask = ready[index]
            if transport.closed:
                continue
            try:
                transport.ready(mask)
            except Exception:
                self._give_up(transport)
            if time.monotonic() >= over:
                left = ready[index + 1 :]
                break
        self.flush()
        return left

    def _ready(self, poller: epoll, lane: Lane) -> Ready:
        """Up to a quantum of sockets that have something."""
        transports = lane.transports
        found: Ready = []
        for number, mask in poller.poll(0, QUANTUM):
            transport = transports.get(number)
            if transport is not None:
                found.append((transport, mask))
        return found

    def _serve_streams(self, lane: Lane) -> None:
        """One quantum of a pod's streams, then a rest if those were all."""
        streams = lane.streams
        if streams is None:
            return
        left = still_due(lane.streams_left)
        ready = left or self._ready(streams.poller, lane)
        lane.streams_left = self._serve(lane, ready)
        all_read = not left and not lane.streams_left and len(ready) < QUANTUM
        if all_read and streams.fd in self.streaming:
            self.rest.served(streams, self.clock.now)

    def flush(self) -> None:
        """Tell of connections that stood at once (whoever asked for them has the transports by now), and send what the
        ones that were served have to say. In one go, since a peer that sleeps is woken by the first message and awake
        for the rest: waking it is the dearest part of sending a small one."""
        while self._stood:
            stood, self._stood = self._stood, []
            for transport in stood:
                try:
                    transport.stood()
                except Exception:
                    self._give_up(transport)
        unsent = self.unsent
        if unsent:
            self.unsent = []
            for transport in unsent:
                transport.flush()

    def _give_up(self, transport: SocketTransport) -> None:
        """Called where an exception came up: a defect of ours costs the connection that it shows on, no other."""
        log.exception("a connection failed: %s", transport.remote)
        handler = transport.handler
        transport.abort()
        try:
            handler.lost(OSError(errno.ECONNABORTED, "ECONNABORTED"))
        except Exception:
            log.exception("closing it failed, too")

    def _serve_other(self, fd: int) -> None:
        """A listener, or the socket to control."""
        listener = self.listeners.get(fd)
        watcher = self.watchers.get(fd)
        try:
            if listener is not None:
                listener.ready()
            elif watcher is not None:
                watcher.readable()
        except Exception:
            log.exception("serving a %s failed", "listener" if listener is not None else "message")
        self.flush()

    def run(self) -> None:
        """Turn until `stop`."""
        self.running = True
        while self.running:
            self.turn()

    def stop(self) -> None:
        self.running = False


def still_due(left: Ready) -> Ready:
    """What of the events told in an earlier turn still counts: what nobody waits for any more must not come unasked."""
    if not left:
        return left
    due = [(transport, transport.due(mask)) for transport, mask in left]
    return [(transport, mask) for transport, mask in due if mask]
