"""A worker's platform with eBPF: original destinations from the kernel's map, heartbeats, sockets inside pods."""

from __future__ import annotations

import socket
from socket import SocketType
from typing import Any

from ..datapath import bpf, namespaces
from ..datapath.heartbeat import Heartbeat
from ..datapath.nameservers import Nameservers
from ..datapath.origin import OriginalDestinations
from ..datapath.sockmap import Sockmap, leave
from ..proxy.io.platform import STREAM, AppQueue, Platform


class SockmapQueue(AppQueue):
    """The queue of one app's socket, found by its connection's flow."""

    def __init__(self, sockmap: Sockmap, flow: bytes) -> None:
        self._sockmap = sockmap
        self._flow = flow
        self._begun = False  # the app gets its bytes without TCP, and may send such

    def depth(self, small: bool) -> int:
        depth = self._sockmap.depth(self._flow, small)
        if depth >= 0:
            self._begun = True
        elif not self._begun:
            self._sockmap.part(self._flow)
        return depth


class EbpfPlatform(Platform):
    """Works as the plain one until control has sent the maps."""

    def __init__(self) -> None:
        self._origins: OriginalDestinations | None = None
        self._nameservers: Nameservers | None = None
        self._heartbeat: Heartbeat | None = None
        self._sockets: bpf.Map | None = None
        self._sockmap: Sockmap | None = None

    def original_destination(self, connection: SocketType, peer: tuple[Any, ...]) -> tuple[str, int] | None:
        return self._origins.take(connection, peer) if self._origins is not None else None

    def app_queue(self, connection: SocketType) -> AppQueue | None:
        if self._origins is None or not self._origins.joined:
            return None
        flow = self._origins.flow
        if self._sockmap is not None and self._sockmap.join(connection, flow):
            return SockmapQueue(self._sockmap, flow)
        assert self._sockets is not None
        leave(self._sockets, flow)
        return None

    def beat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.beat()

    def nameserver(self, sock: socket.socket, slot: int) -> str:
        return self._nameservers.at(sock, slot) if self._nameservers is not None else ""

    def open_socket(self, namespace_fd: int, family: int, kind: int = STREAM) -> SocketType:
        if namespace_fd < 0:
            return SocketType(family, kind)
        return namespaces.open_socket(namespace_fd, family, kind)

    def set_maps(self, fds: list[int], slot: int) -> None:
        """The maps stay open for as long as the process lives: a successor of control sends the same ones again."""
        origins, heartbeats, nameservers, sockets = fds
        self._origins = OriginalDestinations(origins)
        self._nameservers = Nameservers(nameservers)
        self._sockets = bpf.Map(sockets)
        self._heartbeat = Heartbeat(heartbeats, slot)
        self._heartbeat.beat()

    def set_sockmap(self, fds: list[int]) -> None:
        """Comes after the maps. The program, too, stays open."""
        assert self._sockets is not None
        self._sockmap = Sockmap(self._sockets, fds[0])

    def stop(self) -> None:
        """Let new connections pass this worker by at once."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
