"""The words between control and a worker: msgpack messages over a SOCK_SEQPACKET Unix socket, with fds beside them.

Each message is one packet. File descriptors travel as SCM_RIGHTS in the order that the message's docstring names.
Bodies that may outgrow a packet (tables, statistics) travel in a memfd."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ..routing.client import Client
from .peer import ListenerRole

#: Raised when a message changes its shape; a worker refuses a control process that speaks another one (RC-13).
PROTOCOL_VERSION = 6


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


class Descriptor(StrEnum):
    """What a descriptor of a listener is."""

    SOCKET = "socket"  # to accept from, or for the pod's queries
    NAMESPACE = "namespace"  # where upstream sockets are made; without one the worker's own


class AddListener(Message, frozen=True, kw_only=True):
    """A listener to accept from, for what `role` says. fds: as `descriptors` names them. `client` is the workload that
    its connections count as. OUTBOUND has one socket; with `destination` it is a plain listener (`--expose`), and every
    connection counts as one to that (host, port). GATEWAY has one, too, for the server port `gateway_port`. DATAGRAMS
    has a UDP socket for each of the first workers, by their numbers: the kernel gives all that a client sends to the
    same one. DNS has as many UDP sockets as `dns` has slots."""

    id: int
    role: ListenerRole
    descriptors: tuple[Descriptor, ...]
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
    """Ask for Statistics: the dumps after number `heard`, which control has; up to `kept` it has them for good."""

    id: int
    kept: int
    heard: int = 0


class GetConnections(Message, frozen=True, kw_only=True):
    """Ask for Connections."""

    id: int


class AboutTaps(Message, frozen=True, kw_only=True):
    """Base of what is said about those who look on while requests are decided about. `run` is a number of control's: a
    shadow or a recording with the same number goes on with what it has counted."""

    run: int


class SetShadow(AboutTaps, frozen=True, kw_only=True):
    """Decide by a candidate's tables, too. fds: a memfd with `routing.wire`'s update, which builds on version `base` of
    the live ones; it stands until they change."""

    base: int


class EndShadow(AboutTaps, frozen=True, kw_only=True):
    """Decide by the live tables alone."""


class SetRecording(AboutTaps, frozen=True, kw_only=True):
    """Keep the heads of requests until they are fetched, at most `most`. `shown` are fields, and `?name` parameters,
    whose values are kept though they may be secret."""

    most: int
    shown: tuple[str, ...] = ()


class EndRecording(AboutTaps, frozen=True, kw_only=True):
    """Keep no more, and forget those that were kept."""


class GetShadow(AboutTaps, frozen=True, kw_only=True):
    """Ask for ShadowCounted."""

    id: int


class GetHeads(AboutTaps, frozen=True, kw_only=True):
    """Ask for Heads."""

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


class ShadowCounted(Message, frozen=True, kw_only=True):
    """Answer to GetShadow. fds: a memfd with `telemetry.disagreement.ShadowCounts` (msgpack)."""

    id: int


class Heads(Message, frozen=True, kw_only=True):
    """Answer to GetHeads. fds: a memfd with the heads that have come since the last answer, and how many were lost
    (msgpack)."""

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
    | SetShadow
    | EndShadow
    | SetRecording
    | EndRecording
    | GetShadow
    | GetHeads
    | Drain
)
FromWorker = Hello | Applied | Refused | Statistics | Connections | ShadowCounted | Heads
