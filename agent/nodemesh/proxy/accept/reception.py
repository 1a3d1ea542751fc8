"""What becomes of a connection that a listener has accepted: served as its port's protocol says, or its first bytes."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...registry.snapshot import HTTP_PROTOCOLS, TLS_PROTOCOLS, Protocol
from ...routing.client import Client
from ..addresses import ADDRESSES, show
from ..http.session import Session
from ..network import Acceptor
from ..peer import NOBODY, ListenerRole
from ..pod import Pod
from ..tcp.connection import start_tcp
from ..tcp.refusal import turn_away
from ..transport import Transport
from .arrival import Arrival
from .http import serve_http
from .proxy_protocol import Announced
from .sniff import Sniffer

#: Protocols whose first bytes are looked at.
SNIFFED: Final = TLS_PROTOCOLS | {Protocol.AUTO}


class Reception(Acceptor):
    """Takes connections of one role into a pod's accounts. They are of the pod's own peer, but for those that bring
    theirs with them."""

    __slots__ = ("pod", "_at_gateway")

    def __init__(self, pod: Pod, role: ListenerRole) -> None:
        self.pod = pod
        self._at_gateway = role is ListenerRole.GATEWAY

    def accepted(self, transport: Transport, dialled: tuple[str, int] | None) -> None:
        pod = self.pod
        if transport.peer is NOBODY:
            transport.peer = pod.peer
        if not pod.budget.try_connection() and not self._make_room(transport):
            turn_away(pod, transport, Reason.LIMIT_PER_POD)
        elif not self._at_gateway:
            self._accept_outbound(transport, dialled)
        elif pod.edge.proxy_protocol:
            Announced(pod, transport, self._accept_as_gateway)
        else:
            self._accept_as_gateway(transport)

    def _accept_outbound(self, transport: Transport, dialled: tuple[str, int] | None) -> None:
        """Serve a pod's own connection."""
        pod = self.pod
        if dialled is None:
            self._refuse(transport, Reason.ORIGINAL_DESTINATION_UNKNOWN)
            return
        transport.local = ADDRESSES[dialled].text
        if transport.peer.client.addresses:
            transport.remote = name_of(transport.peer.client, transport.remote, dialled[0])
        frontend = pod.view.frontend(dialled[0], dialled[1])
        protocol = frontend.protocol
        if protocol in HTTP_PROTOCOLS:
            serve_http(Session(pod, transport, frontend, dialled), transport)
        elif protocol in SNIFFED:
            Sniffer(pod, transport, frontend, dialled, protocol is Protocol.AUTO)
        else:
            start_tcp(pod, transport, pod.decide_tcp(frontend, dialled[0]), dialled, b"", "")

    def _accept_as_gateway(self, transport: Transport) -> None:
        """Serve a client from outside."""
        pod = self.pod
        pod.sources.enter(transport)
        protocol = pod.view.gateway_protocol(pod.gateway_port)
        if protocol is None:
            self._refuse(transport, Reason.ROUTE_NOT_FOUND)
        elif protocol in HTTP_PROTOCOLS:
            serve_http(Session(pod, transport, None, None), transport)
        elif protocol in TLS_PROTOCOLS:
            Arrival(pod, transport)
        else:
            start_tcp(pod, transport, pod.decide_tcp(None, ""), None, b"", "")

    def _refuse(self, transport: Transport, reason: Reason) -> None:
        """Refuse a connection that counts as the pod's already."""
        turn_away(self.pod, transport, reason)
        self.pod.release()

    def _make_room(self, newcomer: Transport) -> bool:
        """Whether a gateway that has all the connections it may have takes one more, in place of one of the client that
        has most of them."""
        pod = self.pod
        spare = pod.sources.spare(newcomer) if self._at_gateway else None
        if spare is None:
            return False
        spare.give_up("the gateway has no room for so many of one client")
        return pod.budget.try_connection()


def name_of(client: Client, end: str, dialled: str) -> str:
    """The app's end as others see it: what is redirected comes from the pod's loopback."""
    addresses = client.addresses
    same = [address for address in addresses if (":" in address) == (":" in dialled)]
    return show(((same or addresses)[0], end.rpartition(":")[2]))
