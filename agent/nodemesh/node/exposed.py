"""The listeners that the user asked for: those of `--expose`, whose connections count as if the client had dialled
HOST:PORT from inside, and those of `--gateway-listen`, which serve a gateway workload."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from difflib import get_close_matches

import msgspec

from ..proxy.peer import ListenerRole
from ..registry.services import selects
from ..registry.snapshot import Resolution, Snapshot
from ..routing.client import Client
from ..routing.views import Views
from .listeners import Descriptors, Listeners
from .logs import Log
from .options import Expose, GatewayListen, ListenAddress, RunOptions
from .pods import client_of
from .store import StoreEntry

log = Log("control")

DEFAULT_NAMESPACE = "default"


def client_from(snapshot: Snapshot, text: str) -> Client:
    """The client that `--as` names: a pod that the registry knows, else one without labels. A bare name is a
    namespace, and nothing is `default`."""
    namespace, _, name = (text or DEFAULT_NAMESPACE).partition("/")
    pod = snapshot.workloads.get(f"{namespace}/{name}") if name else None
    return client_of(pod) if pod is not None else nobody(snapshot, namespace, name)


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
    client = client_of(pod) if pod is not None else nobody(snapshot, namespace or DEFAULT_NAMESPACE, name)
    return msgspec.structs.replace(client, labels={**client.labels, **labels}, gateway=True)


def nobody(snapshot: Snapshot, namespace: str, name: str) -> Client:
    """A client that is no pod."""
    return Client(namespace=namespace, name=name, network=snapshot.network, cluster=snapshot.cluster)


def doubts(options: RunOptions, snapshot: Snapshot, views: Views) -> list[str]:
    """What of the user's words finds nothing in the configuration, a sentence each."""
    found = []
    namespace, _, name = options.client.partition("/")
    if name and f"{namespace}/{name}" not in snapshot.workloads:
        found.append(
            f"--as {options.client}: no Pod of this name is known; rules see a client of the namespace {namespace} "
            "without labels"
        )
    elif namespace and namespace not in snapshot.namespaces and not _is_inhabited(snapshot, namespace):
        found.append(f"--as {options.client}: nothing is known of the namespace {namespace}")
    view = views.for_client(client_from(snapshot, options.client))
    for wanted in options.expose:
        frontend = view.frontend_for_host(wanted.host, wanted.port)
        service = frontend.service
        if service is None:
            hint = _meant(snapshot, wanted, view.client.namespace)
            found.append(f"--expose {wanted.host}:{wanted.port}: no service has this host and port{hint}")
        elif service.resolution is not Resolution.NONE and not service.endpoints.get(frontend.logical_port):
            found.append(f"--expose {wanted.host}:{wanted.port}: {service.host} has no endpoints; requests get a 503")
    return found


def _meant(snapshot: Snapshot, wanted: Expose, namespace: str) -> str:
    """What the user may have had in mind: another port, the name in full, or a name that is written alike."""
    services = [service for group in snapshot.services.values() for service in group]
    for service in services:
        names = (f"{service.name}.{service.namespace}", service.host)
        if wanted.host in names or (wanted.host == service.name and service.namespace == namespace):
            return f"; it has {', '.join(str(port.number) for port in service.ports) or 'none'}"
    elsewhere = sorted(f"{service.name}.{service.namespace}" for service in services if service.name == wanted.host)
    close = elsewhere or get_close_matches(wanted.host, sorted({service.name for service in services}), 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _is_inhabited(snapshot: Snapshot, namespace: str) -> bool:
    return any(service.namespace == namespace for group in snapshot.services.values() for service in group) or any(
        pod.namespace == namespace for pod in snapshot.workloads.values()
    )


class ExposedListeners:
    """Announces the listeners that the supervisor opened before anything else was started."""

    def __init__(self, options: RunOptions, listeners: Listeners) -> None:
        self._options = options
        self._listeners = listeners
        self._doubts: set[str] = set()  # that hold now, and have been told

    def open(self, kept: dict[str, StoreEntry], snapshot: Snapshot) -> None:
        """Announce all; the descriptors in `kept` are the listeners' from now on."""
        for wanted in self._options.listeners:
            entry = kept[wanted.name]
            left = self._listeners.left(wanted.name)
            if left is not None:
                os.close(entry.fd)  # the same socket, announced before
            client = self._client(wanted, snapshot)
            fds = left or Descriptors((entry.fd,))
            if isinstance(wanted, Expose):
                self._listeners.add(wanted.name, ListenerRole.OUTBOUND, fds, client, (wanted.host, wanted.port))
            else:
                self._listeners.add(wanted.name, ListenerRole.GATEWAY, fds, client, gateway_port=wanted.port)

    def clients(self, snapshot: Snapshot) -> list[Client]:
        """Who speaks through the listeners, if there are any."""
        return [self._client(wanted, snapshot) for wanted in self._options.listeners]

    def update(self, snapshot: Snapshot, views: Views) -> None:
        """The clients' labels may have changed, and what the user's words find."""
        for wanted in self._options.listeners:
            self._listeners.update(wanted.name, self._client(wanted, snapshot))
        found = doubts(self._options, snapshot, views) if self._options.listeners else []
        for doubt in found:
            if doubt not in self._doubts:
                log.warning(doubt)
        self._doubts = set(found)

    def _client(self, wanted: Expose | GatewayListen, snapshot: Snapshot) -> Client:
        options = self._options
        if isinstance(wanted, Expose):
            return client_from(snapshot, options.client)
        return gateway_from(snapshot, options.gateway, options.client)


def bound_address(fd: int) -> ListenAddress:
    """Where a listening TCP socket listens."""
    sock = socket.socket(fileno=fd)
    try:
        host, port = sock.getsockname()[:2]
    finally:
        sock.detach()
    return ListenAddress(host, port)
