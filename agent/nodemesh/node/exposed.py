"""The listeners that the user asked for: those of `--expose`, whose connections count as if the client had dialled
HOST:PORT from inside, and those of `--gateway-listen`, which serve a gateway workload."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import msgspec

from ..registry.services import selects
from ..registry.snapshot import Snapshot
from ..routing.client import Client
from .listeners import Listeners
from .options import Address, Expose, GatewayListen, RunOptions
from .pods import client_of
from .store import Kept

DEFAULT_NAMESPACE = "default"


def client_from(snapshot: Snapshot, text: str) -> Client:
    """The client that `--as` names: a pod that the registry knows, else one without labels. A bare name is a
    namespace, and nothing is `default`."""
    namespace, _, name = (text or DEFAULT_NAMESPACE).partition("/")
    pod = snapshot.workloads.get(f"{namespace}/{name}") if name else None
    return client_of(pod) if pod is not None else Client(namespace=namespace, name=name)


def gateway_from(snapshot: Snapshot, labels: Mapping[str, str], text: str) -> Client:
    """The gateway workload with these labels: the pod that `--as` names or, in the namespace that it names, one that
    carries them; else one that nothing more is known of. Its namespace is where Secrets are looked for. Where nothing
    is named, a pod of any namespace will do, else `default`."""
    namespace, _, name = text.partition("/")
    pods = [snapshot.workloads.get(f"{namespace}/{name}")] if name else []
    pods += (
        pod
        for _, pod in sorted(snapshot.workloads.items())
        if selects(labels, pod.labels) and not pod.finished and namespace in ("", pod.namespace)
    )
    pod = next((pod for pod in pods if pod is not None), None)
    client = client_of(pod) if pod is not None else Client(namespace=namespace or DEFAULT_NAMESPACE, name=name)
    return msgspec.structs.replace(client, labels={**client.labels, **labels}, gateway=True)


class Exposed:
    """Announces the listeners that the supervisor opened before anything else was started."""

    def __init__(self, options: RunOptions, listeners: Listeners) -> None:
        self._options = options
        self._listeners = listeners

    def open(self, kept: dict[str, Kept], snapshot: Snapshot) -> None:
        """Announce all; the descriptors in `kept` are the listeners' from now on."""
        for wanted in self._options.listeners:
            entry = kept[wanted.name]
            left = self._listeners.left(wanted.name)
            if left is not None:
                os.close(entry.fd)  # the same socket, announced before
            client = self._client(wanted, snapshot)
            fds = left or (entry.fd,)
            if isinstance(wanted, Expose):
                self._listeners.add(wanted.name, fds, client, (wanted.host, wanted.port))
            else:
                self._listeners.add(wanted.name, fds, client, gateway_port=wanted.port)

    def clients(self, snapshot: Snapshot) -> list[Client]:
        """Who speaks through the listeners, if there are any."""
        return [self._client(wanted, snapshot) for wanted in self._options.listeners]

    def update(self, snapshot: Snapshot) -> None:
        """The clients' labels may have changed."""
        for wanted in self._options.listeners:
            self._listeners.update(wanted.name, self._client(wanted, snapshot))

    def _client(self, wanted: Expose | GatewayListen, snapshot: Snapshot) -> Client:
        options = self._options
        if isinstance(wanted, Expose):
            return client_from(snapshot, options.client)
        return gateway_from(snapshot, options.gateway, options.client)


def bound_address(fd: int) -> Address:
    """Where a listening TCP socket listens."""
    sock = socket.socket(fileno=fd)
    try:
        host, port = sock.getsockname()[:2]
    finally:
        sock.detach()
    return Address(host, port)
