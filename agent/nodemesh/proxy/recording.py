"""The heads of a time window, kept for control to fetch: bounded, and without secrets."""

from __future__ import annotations

from typing import Final

from ..routing.client import Client
from ..routing.decision import Decision
from ..routing.frontend import Frontend
from ..routing.heads import TCP, TLS, KeptHead
from ..routing.match import VirtualHost
from ..routing.request import Request
from ..routing.view import View
from ..telemetry.redaction import Redaction, connection_head
from .clock import Clock
from .tap import ConnectionPlace, Onlooker, PodTap, Tap

#: Heads that wait to be fetched, and characters of their fields; what comes beyond is lost, and counted.
WAITING: Final = 4096
WAITING_TEXT = 8 * 1024 * 1024


class HeadsTap(Tap):
    """Keeps the heads of all pods' requests, at most `most` in all."""

    def __init__(self, run: int, most: int, shown: frozenset[str], clock: Clock) -> None:
        self.run = run
        self.lost = 0
        self._most = most
        self._clock = clock
        self._redaction = Redaction(shown)
        self._heads: list[KeptHead] = []
        self._text = 0

    def of(self, client: Client, view: View) -> PodTap:
        return PodHeads(self, client)

    def keep(
        self, request: Request, client: Client, host: str, service: str, port: int, sni: str, gateway: bool
    ) -> None:
        """Keep a head, if there is room."""
        if len(self._heads) >= min(WAITING, self._most) or self._text >= WAITING_TEXT:
            self.lost += 1
            return
        head = self._redaction.head(request, client, self._clock.time(), host, service, port, sni, gateway)
        self._heads.append(head)
        self._text += sum(map(len, head.headers.values())) + len(head.path) + len(head.query)

    def keep_connection(self, client: Client, frontend: Frontend | None, dialled: ConnectionPlace, name: str) -> None:
        """Keep what a connection without HTTP has instead of a head."""
        if len(self._heads) >= min(WAITING, self._most):
            self.lost += 1
            return
        service = frontend.service.host if frontend is not None and frontend.service is not None else ""
        port = frontend.logical_port if frontend is not None else dialled.port
        scheme = TLS if dialled.tls else TCP
        now = self._clock.time()
        self._heads.append(connection_head(client, now, dialled.address, service, port, name, scheme, frontend is None))

    def take(self) -> tuple[list[KeptHead], int]:
        """What has come since the last time, and how many were lost."""
        heads, self._heads = self._heads, []
        lost, self.lost = self.lost, 0
        self._most -= len(heads)
        self._text = 0
        return heads, lost


class HostHeads(Onlooker):
    """Keeps those of one pod's requests to one host."""

    def __init__(self, tap: HeadsTap, client: Client, frontend: Frontend, host: str) -> None:
        self._tap = tap
        self._client = client
        self._host = host
        self._port = frontend.logical_port
        self._service = frontend.service.host if frontend.service is not None else ""

    def decided(self, request: Request, decision: Decision) -> None:
        self._tap.keep(request, self._client, self._host, self._service, self._port, sni="", gateway=False)


class PodHeads(PodTap):
    """Keeps those of one pod."""

    def __init__(self, tap: HeadsTap, client: Client) -> None:
        self._tap = tap
        self._client = client

    def host(
        self, frontend: Frontend, dialled: tuple[str, int], authority: bytes, rules: VirtualHost
    ) -> Onlooker | None:
        return HostHeads(self._tap, self._client, frontend, dialled[0])

    def gateway(self, port: int, name: str, request: Request, decision: Decision) -> None:
        self._tap.keep(request, self._client, "", "", port, name, gateway=True)

    def connection(self, frontend: Frontend | None, dialled: ConnectionPlace, name: str, decision: Decision) -> None:
        self._tap.keep_connection(self._client, frontend, dialled, name)
