"""Who looks on while requests are decided about. Nothing that becomes of a request depends on it, and where nobody
looks, no request pays for it: what is tapped are the rules that a connection has looked up."""

from __future__ import annotations

from ..routing.client import Client
from ..routing.decision import Decision
from ..routing.frontend import Frontend
from ..routing.match import VirtualHost
from ..routing.request import Request
from ..routing.view import View


class ConnectionPlace:
    """Where a connection without HTTP came to: an address and port, or a gateway's port where `address` is empty; and
    whether it is TLS that does not end here, for which the server name decides."""

    __slots__ = ("address", "port", "tls")

    def __init__(self, address: str, port: int, tls: bool) -> None:
        self.address = address
        self.port = port
        self.tls = tls


class Onlooker:
    """Sees the requests of one pod to one host."""

    def decided(self, request: Request, decision: Decision) -> None:
        """Never raises."""
        raise NotImplementedError


class TappedRules(VirtualHost):
    """Rules, with somebody who sees what they decide."""

    __slots__ = ("_rules", "_onlooker")

    def __init__(self, rules: VirtualHost, onlooker: Onlooker) -> None:
        VirtualHost.__init__(self, rules.host, (), rules.otherwise)
        self._rules = rules
        self._onlooker = onlooker

    def decide(self, request: Request) -> Decision:
        decision = self._rules.decide(request)
        self._onlooker.decided(request, decision)
        return decision


class PodTap:
    """Looks on for one pod."""

    def host(
        self, frontend: Frontend, dialled: tuple[str, int], authority: bytes, rules: VirtualHost
    ) -> Onlooker | None:
        """Who is to see the requests with this authority that go to what was dialled; None: nobody."""
        raise NotImplementedError

    def gateway(self, port: int, name: str, request: Request, decision: Decision) -> None:
        """A request has come to a gateway's port, over TLS with that server name or in plain. Never raises."""
        raise NotImplementedError

    def connection(self, frontend: Frontend | None, dialled: ConnectionPlace, name: str, decision: Decision) -> None:
        """A connection without HTTP is served; `name` is the server name that it asks for. Never raises."""
        raise NotImplementedError


class Tap:
    """One reason to look on, for all pods of a worker."""

    def of(self, client: Client, view: View) -> PodTap:
        """For a pod, which sees this of the mesh."""
        raise NotImplementedError

    def resolved(self, addresses: dict[str, tuple[str, ...]]) -> None:
        """Names have these addresses from now on."""


def tapped(
    taps: tuple[PodTap, ...],
    frontend: Frontend,
    dialled: tuple[str, int] | None,
    authority: bytes,
    rules: VirtualHost,
) -> VirtualHost:
    """The rules with all who are to see what they decide."""
    found = rules
    for tap in taps:
        onlooker = tap.host(frontend, dialled, authority, rules) if dialled is not None else None
        if onlooker is not None:
            found = TappedRules(found, onlooker)
    return found
