"""Who is at the other end of a connection that was accepted, by which kind of door it came, and how that is known."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from ..routing.client import Client


class ListenerRole(StrEnum):
    """What a listener is there for."""

    OUTBOUND = "outbound"  # connections of the pod's own
    GATEWAY = "gateway"  # connections from outside to a gateway's port
    DATAGRAMS = "datagrams"  # what comes over UDP from outside to a gateway's port
    DNS = "dns"  # queries of the pod's own


class Attested(StrEnum):
    """What says who the peer is."""

    NOTHING = ""
    LISTENER = "listener"  # it is inside a pod's network namespace, where nobody else is
    ADDRESS = "address"  # an address is all that is known


class ClientPeer(NamedTuple):
    """The workload as which a connection counts, for as long as it stands. Clients of a gateway count as the gateway:
    of them no more is known than an address."""

    client: Client
    attested: Attested


#: Of connections that were not accepted.
NOBODY: Final = ClientPeer(Client(namespace=""), Attested.NOTHING)
