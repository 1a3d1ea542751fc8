"""A worker's platform with eBPF: original destinations from the kernel's map, heartbeats, sockets inside pods."""

from __future__ import annotations

import socket
from typing import Any

from ..datapath import namespaces
from ..datapath.heartbeat import Heartbeat
from ..datapath.nameservers import Nameservers
from ..datapath.origin import OriginalDestinations
from ..proxy.platform import STREAM, Platform


class EbpfPlatform(Platform):
    """Works as the plain one until control has sent the maps."""

    def __init__(self) -> None:
        self._origins: OriginalDestinations | None = None
        self._nameservers: Nameservers | None = None
        self._heartbeat: Heartbeat | None = None

    def original_destination(self, connection: socket.socket, peer: tuple[Any, ...]) -> tuple[str, int] | None:
        return self._origins.take(connection, peer) if self._origins is not None else None

    def beat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.beat()

    def nameserver(self, sock: socket.socket, slot: int) -> str:
        return self._nameservers.at(sock, slot) if self._nameservers is not None else ""

    def open_socket(self, namespace_fd: int, family: int, kind: int = STREAM) -> socket.socket:
        if namespace_fd < 0:
            return socket.socket(family, kind)
        return namespaces.open_socket(namespace_fd, family, kind)

    def set_maps(self, fds: list[int], slot: int) -> None:
        """The maps stay open for as long as the process lives: a successor of control sends the same ones again."""
        origins, heartbeats, nameservers = fds
        self._origins = OriginalDestinations(origins)
        self._nameservers = Nameservers(nameservers)
        self._heartbeat = Heartbeat(heartbeats, slot)
        self._heartbeat.beat()

    def stop(self) -> None:
        """Let new connections pass this worker by at once."""
        if self._heartbeat is not None:
            self._heartbeat.stop()
