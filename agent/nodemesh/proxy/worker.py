"""A worker process: one reactor, one proxy, and the conversation with control that feeds them."""

from __future__ import annotations

import gc
import mmap
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from random import Random
from typing import Final

import msgspec
from mypy_extensions import mypyc_attr

from ..balance.shared import Share
from ..routing.tables import Tables
from ..routing.wire import apply_update
from ..telemetry.telemetry import Telemetry
from . import messages
from .accept.reception import Reception
from .dns.nameserver import Nameserver
from .io.datagrams import ClientSocket, QuerySocket
from .io.listener import Listener
from .io.platform import Platform
from .io.reactor import Reactor
from .messages import Descriptor, FromControl, Message
from .network import Watcher
from .peer import ListenerRole
from .pod import Pod
from .proxy import Proxy
from .taps import Taps
from .tls.materials import unpack
from .udp.sessions import Sessions

#: The collector's thresholds: with everything that lives long frozen after each table, its passes are short and rare.
COLLECTOR: Final = (50_000, 20, 100)

#: The largest packet of the control socket; what may be larger travels in a memfd.
PACKET: Final = 64 * 1024

MAX_FDS: Final = 16

#: Seconds between two tries to reach control again.
RECONNECT: Final = 0.5


#: Open connections of a pod that control is told of when it asks, and characters of each field: peers choose some.
LISTED: Final = 64
LISTED_TEXT: Final = 512


@mypyc_attr(allow_interpreted_subclasses=True)
class Worker(Watcher):
    """Serves until control says to drain, or the supervisor kills it. If control dies, the last good tables stay, and
    `reconnect` is asked for a new socket until it gives one."""

    def __init__(
        self,
        control: socket.socket,
        platform: Platform,
        telemetry: Telemetry,
        number: int = 0,
        workers: int = 1,
        reconnect: Callable[[], socket.socket | None] | None = None,
    ) -> None:
        self.platform = platform
        self.telemetry = telemetry
        self.number = number
        self.reactor = Reactor(platform, workers)
        self.tables = Tables()
        self.proxy = Proxy(self.reactor, self.reactor.clock, Random(), telemetry, self.tables, workers)
        self.taps = Taps(self.proxy)
        self.listeners: dict[int, Listener] = {}
        self.nameservers: dict[int, tuple[Nameserver, list[QuerySocket]]] = {}
        self.ports: dict[int, ClientSocket | None] = {}  # for datagrams; None: this worker has no socket of it
        self._early: dict[int, tuple[messages.AddListener, list[int]]] = {}  # to accept from once there are tables
        self._reconnect = reconnect
        self._decoder = msgspec.msgpack.Decoder(FromControl)
        self._control = control
        self._attach(control)

    def run(self) -> None:
        """Serve. Returns when drained, or when control is gone for good (there is no way to reconnect)."""
        gc.set_threshold(*COLLECTOR)
        gc.freeze()
        self.reactor.run()

    # --- the control socket

    def _attach(self, control: socket.socket) -> None:
        control.setblocking(False)
        self._control = control
        self.reactor.watch(control.fileno(), self)
        self._say(messages.Hello(worker=self.number, pid=os.getpid()))

    def readable(self) -> None:
        try:
            packet, fds, flags, _ = socket.recv_fds(self._control, PACKET, MAX_FDS)
        except BlockingIOError:
            return
        except OSError:
            packet, fds = b"", []
        if not packet:
            self._lost_control()
            return
        self._handle(self._decoder.decode(packet), fds)

    def _say(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        with suppress(OSError):  # where control is gone, reading will tell
            socket.send_fds(self._control, [msgspec.msgpack.encode(message)], fds)

    def _lost_control(self) -> None:
        self.taps.end()
        self.reactor.unwatch(self._control.fileno())
        self._control.close()
        if self._reconnect is None:
            self.reactor.stop()
        else:
            self._find_control()

    def _find_control(self) -> None:
        assert self._reconnect is not None
        control = self._reconnect()
        if control is not None:
            self._attach(control)
        else:
            self.reactor.clock.after(RECONNECT, self._find_control)

    # --- what control says

    def _handle(self, message: FromControl, fds: list[int]) -> None:
        if isinstance(message, messages.SetTables):
            self._set_tables(message, fds[0])
        elif isinstance(message, messages.AddListener):
            self._add_listener(message, fds)
        elif isinstance(message, messages.UpdateClient):
            self._update_client(message)
        elif isinstance(message, messages.RemoveListener):
            self._remove_listener(message.id)
        elif isinstance(message, messages.SetMaps):
            self.platform.set_maps(fds, message.heartbeat_slot)
        elif isinstance(message, messages.SetSockmap):
            self.platform.set_sockmap(fds)
        elif isinstance(message, messages.SetDns):
            self.proxy.set_addresses(message.addresses, message.dialled)
        elif isinstance(message, messages.Retire):
            self.proxy.shared.retire(frozenset(message.addresses))
        elif isinstance(message, messages.SetMaterials):
            self._set_materials(fds[0])
        elif isinstance(message, messages.SetCounters):
            self._set_counters(fds[0])
        elif isinstance(message, messages.GetStatistics):
            self.telemetry.open = sum(len(pod.connections) for pod in self.proxy.pods.values())
            self._answer(messages.Statistics(id=message.id), self.telemetry.dumps(message.kept, message.heard))
        elif isinstance(message, messages.GetConnections):
            self._answer(messages.Connections(id=message.id), msgspec.msgpack.encode(self._connections()))
        elif isinstance(message, messages.AboutTaps):
            answer = self.taps.handle(message, content_of(fds[0]) if fds else b"", self.tables)
            if answer is not None:
                self._answer(*answer)
        else:
            self.drain(message.grace)

    def _set_tables(self, message: messages.SetTables, fd: int) -> None:
        """Take new tables over, or keep what we have."""
        try:
            if message.base not in (0, self.tables.version):
                raise ValueError(f"the update builds on version {message.base}, here is {self.tables.version}")
            size = os.fstat(fd).st_size
            with mmap.mmap(fd, size, access=mmap.ACCESS_READ) as memory:
                tables = apply_update(self.tables if message.base else None, memory[:])
        except (ValueError, msgspec.MsgspecError, OSError) as error:
            self._say(messages.Refused(version=message.version, error=str(error)))
            return
        finally:
            os.close(fd)
        self.tables = tables
        self.taps.leave()
        self.proxy.set_tables(tables)
        gc.collect()
        gc.freeze()
        self._say(messages.Applied(version=message.version))
        early, self._early = self._early, {}
        for listener, fds in early.values():
            self._add_listener(listener, fds)

    def _set_materials(self, fd: int) -> None:
        """Have other certificates from now on."""
        self.proxy.shared.certificates.replace(unpack(content_of(fd)))

    def _set_counters(self, fd: int) -> None:
        """Count where all workers of the node count."""
        memory = mmap.mmap(fd, os.fstat(fd).st_size)
        os.close(fd)
        self.proxy.shared.share = Share(memoryview(memory), self.number)

    def _add_listener(self, message: messages.AddListener, fds: list[int]) -> None:
        """Accept from a listener; until the first tables say what connections mean, they wait in its backlog."""
        self._remove_listener(message.id)
        if not self.tables.version:
            self._early[message.id] = message, fds
            return
        named = list(zip(message.descriptors, fds, strict=True))
        socks = [socket.socket(fileno=fd) for name, fd in named if name is Descriptor.SOCKET]
        namespace = next((fd for name, fd in named if name is Descriptor.NAMESPACE), -1)
        lane = self.reactor.add_lane()
        pod = self.proxy.add_pod(message.id, message.client, namespace, lane)
        if message.dns is not None:
            server = Nameserver(pod, message.dns.families)
            self.nameservers[message.id] = (
                server,
                [
                    QuerySocket(self.reactor.loop, one, slot, server)
                    for one, slot in zip(socks, message.dns.slots, strict=True)
                ],
            )
            return
        pod.gateway_port = message.gateway_port
        if message.role is ListenerRole.DATAGRAMS:
            self.ports[message.id] = self._take_port(socks, pod)
            return
        self.listeners[message.id] = self.reactor.listen(
            socks[0], lane, Reception(pod, message.role), message.destination
        )

    def _take_port(self, socks: list[socket.socket], pod: Pod) -> ClientSocket | None:
        """This worker's of a port's sockets; the others are other workers'."""
        mine = None
        for number, sock in enumerate(socks):
            if number == self.number:
                mine = ClientSocket(self.reactor.loop, sock, Sessions(pod))
            else:
                sock.close()
        return mine

    def _update_client(self, message: messages.UpdateClient) -> None:
        if message.id in self._early:
            early, fds = self._early[message.id]
            self._early[message.id] = msgspec.structs.replace(early, client=message.client), fds
        elif message.id in self.proxy.pods:
            self.proxy.update_pod(message.id, message.client)

    def _remove_listener(self, number: int) -> None:
        listener = self.listeners.pop(number, None)
        if listener is not None:
            listener.close()
            self.proxy.remove_pod(number)
        nameserver = self.nameservers.pop(number, None)
        if nameserver is not None:
            server, sockets = nameserver
            server.close()
            for query_socket in sockets:
                query_socket.close()
            self.proxy.remove_pod(number)
        if number in self.ports:
            port = self.ports.pop(number)
            if port is not None:
                port.sessions.close()
                port.close()
            self.proxy.remove_pod(number)
        for fd in self._early.pop(number, (None, ()))[1]:
            os.close(fd)

    def _answer(self, message: Message, body: bytes) -> None:
        """A message with its body in a memfd."""
        fd = os.memfd_create("nodemesh-answer", os.MFD_CLOEXEC)
        try:
            os.write(fd, body)
            self._say(message, (fd,))
        finally:
            os.close(fd)

    def _connections(self) -> list[dict[str, str]]:
        """What is open: one record per client connection, the oldest of each pod."""
        return [
            {"pod": pod.client.name, "namespace": pod.client.namespace}
            | {name: text[:LISTED_TEXT] for name, text in connection.describe().items()}
            for pod in (*self.proxy.pods.values(), *self.proxy.leaving.values())
            for connection in islice(pod.connections, LISTED)
        ]

    def drain(self, grace: float) -> None:
        """Accept no more, let what is under way come to its end, then stop. DNS queries are answered until then."""
        for number in list(self._early):
            self._remove_listener(number)
        for number in list(self.listeners):
            self.listeners.pop(number).close()
        for port in self.ports.values():
            if port is not None:
                port.leave()
        self.proxy.start_draining()
        self.reactor.clock.after(grace, self.reactor.stop)
        self._check_drained()

    def _check_drained(self) -> None:
        if self.proxy.idle and not any(server.waiting for server, _ in self.nameservers.values()):
            self.reactor.stop()
        else:
            self.reactor.clock.after(0.05, self._check_drained)


def content_of(fd: int) -> bytes:
    """All of a memfd, which is closed."""
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0)  # the descriptor's position is shared with other workers
    finally:
        os.close(fd)
