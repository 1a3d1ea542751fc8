"""The words between control and a worker: msgpack messages over a SOCK_SEQPACKET Unix socket, with fds beside them.

Each message is one packet. File descriptors travel as SCM_RIGHTS in the order that the message's docstring names.
Bodies that may outgrow a packet (tables, statistics) travel in a memfd."""

from __future__ import annotations

import msgspec

from ..routing.client import Client

#: Raised when a message changes its shape; a worker refuses a control process that speaks another one (RC-13).
PROTOCOL_VERSION = 5


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all messages; the class name is the tag."""


# control -> worker


class SetTables(Message, frozen=True, kw_only=True):
    """New tables. fds: a memfd with `routing.wire`'s update; `base` is the version it builds on (0: complete)."""

    version: int
    base: int


class DnsSockets(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener for DNS is: `slots` tells of each of its sockets which of the pod's servers it stands for;
    `families` (4, 6) are those of the pod's addresses, empty where they are not known."""

    slots: tuple[int, ...]
    families: tuple[int, ...] = ()


class AddListener(Message, frozen=True, kw_only=True):
    """A listener to accept from. fds: the listening socket, then the namespace for upstream sockets (absent: the
    worker's own). The listener is the client's identity. `destination` is set for plain listeners (`--expose`): every
    connection counts as one to that (host, port). `gateway_port` is set for a gateway's server port. With `dns` the
    socket is a UDP socket for the pod's queries, and further ones come after the namespace."""

    id: int
    client: Client
    destination: tuple[str, int] | None = None
    gateway_port: int = 0
    dns: DnsSockets | None = None


class UpdateClient(Message, frozen=True, kw_only=True):
    """The workload behind a listener changed (labels); connections accepted from now on use it."""

    id: int
    client: Client


class RemoveListener(Message, frozen=True, kw_only=True):
    """Stop accepting there; connections that came from it run out."""

    id: int


class SetMaps(Message, frozen=True, kw_only=True):
    """The kernel's side. fds: the maps of original destinations, heartbeats, pods' nameservers, sockets."""

    heartbeat_slot: int


class SetSockmap(Message, frozen=True, kw_only=True):
    """Bytes may skip TCP between apps and the worker where the kernel's map of sockets has the app's. fds: the program
    that tells a queue's depth. Until then such apps are taken out of the map as they come."""


class SetDns(Message, frozen=True, kw_only=True):
    """Addresses of host names in the DNS, host -> addresses: all, for connections to endpoints that have names, and of
    those by which connections that pods make to a name are recognized."""

    addresses: dict[str, tuple[str, ...]]
    dialled: dict[str, tuple[str, ...]]


class Retire(Message, frozen=True, kw_only=True):
    """Pods with these addresses are about to go: no new picks of theirs. Tables that say so follow; what they say of
    an address counts from then on."""

    addresses: tuple[str, ...]


class SetMaterials(Message, frozen=True, kw_only=True):
    """The certificates and keys that rules name, all of them. fds: a memfd with `certificates.Materials` (msgpack).
    Comes before the tables that need them; nothing of it is logged or shown."""


class SetCounters(Message, frozen=True, kw_only=True):
    """The counters that the node's workers share. fds: a memfd that control laid out with `balance.shared.Ledger`; the
    worker takes the column of the number that it said in Hello. Comes before the first SetTables."""


class GetStatistics(Message, frozen=True, kw_only=True):
    """Ask for Statistics: the dumps after number `kept`, which control has for good."""

    id: int
    kept: int


class GetConnections(Message, frozen=True, kw_only=True):
    """Ask for Connections."""

    id: int


class Drain(Message, frozen=True, kw_only=True):
    """Accept no more, say `Connection: close`, and exit when all is done or after `grace` seconds."""

    grace: float


# worker -> control


class Hello(Message, frozen=True, kw_only=True):
    """First message of a worker."""

    worker: int
    pid: int
    protocol: int = PROTOCOL_VERSION


class Applied(Message, frozen=True, kw_only=True):
    """The worker answers from this version on."""

    version: int


class Refused(Message, frozen=True, kw_only=True):
    """The worker kept the tables it has; `error` says why."""

    version: int
    error: str


class Statistics(Message, frozen=True, kw_only=True):
    """Answer to GetStatistics. fds: a memfd with telemetry's new counts (msgpack)."""

    id: int


class Connections(Message, frozen=True, kw_only=True):
    """Answer to GetConnections. fds: a memfd with a list of connection records (msgpack)."""

    id: int


FromControl = (
    SetTables
    | AddListener
    | UpdateClient
    | RemoveListener
    | SetMaps
    | SetSockmap
    | SetDns
    | Retire
    | SetMaterials
    | SetCounters
    | GetStatistics
    | GetConnections
    | Drain
)
FromWorker = Hello | Applied | Refused | Statistics | Connections
