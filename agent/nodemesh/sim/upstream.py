"""Fake upstreams: what they do with the next requests, and which ones they have seen."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Mapping

from .deeds import ANSWER, Act, Choose, Deed, SeenRequest
from .network import SimServer
from .pipe import Peer

#: What a pod keeps of what it has seen.
KEPT = 100_000


class Station:
    """One pod, or one address of a host outside: what listens at its ports."""

    def __init__(self, name: str, address: str, trail: list[SeenRequest]) -> None:
        self.name = name
        self.address = address
        self.trail = trail  # what all have seen lately
        self.servers: list[SimServer] = []
        self.peers: set[Peer] = set()
        self.seen: deque[SeenRequest] = deque(maxlen=KEPT)
        self.next: deque[Deed] = deque()  # for one request each
        self.lasting: Deed | Choose = ANSWER
        self.greeting = b""
        self._code = 0
        self._silent = False

    def add(self, server: SimServer) -> None:
        """One more of its ports."""
        self.servers.append(server)
        server.code, server.silent = self._code, self._silent

    def deed_for(self, seen: SeenRequest) -> Deed:
        """What to do with a request."""
        self.seen.append(seen)
        self.trail.append(seen)
        if self.next:
            return self.next.popleft()
        return self.lasting if isinstance(self.lasting, Deed) else self.lasting(seen)

    def listen(self, code: int = 0, silent: bool = False) -> None:
        """Take connections from now on, or have each fail with an errno, or stay silent."""
        self._code, self._silent = code, silent
        for server in self.servers:
            server.code, server.silent = code, silent
        if code or silent:
            for peer in list(self.peers):
                peer.reset()
            self.peers.clear()


class Upstream:
    """Some pods together: a service's, a subset's, or one. What is said `times` counts for so many requests at each of
    them, one after the other; what is said without counts for all others."""

    def __init__(self, stations: Iterable[Station]) -> None:
        self.stations = tuple(stations)

    def answers(
        self,
        status: int = 200,
        body: bytes | str | None = None,
        headers: Mapping[str, str] = {},
        *,
        after: float = 0.0,
        times: int = 0,
        grpc_status: int = 0,
        grpc_message: str = "",
    ) -> Upstream:
        """Answer, `after` seconds. Without a body it is the pod's name."""
        text = body.encode() if isinstance(body, str) else body
        return self._do(
            Deed(
                status=status,
                headers=headers,
                body=text,
                after=after,
                grpc_status=grpc_status,
                grpc_message=grpc_message,
            ),
            times,
        )

    def hangs(self, times: int = 0) -> Upstream:
        """Take requests and never answer."""
        return self._do(Deed(act=Act.HANG), times)

    def resets(self, times: int = 0, *, after: float = 0.0) -> Upstream:
        """Reset the connection instead of an answer."""
        return self._do(Deed(act=Act.RESET, after=after), times)

    def closes(self, times: int = 0, *, after: float = 0.0) -> Upstream:
        """Close the connection instead of an answer."""
        return self._do(Deed(act=Act.CLOSE, after=after), times)

    def does(self, choose: Choose) -> Upstream:
        """Have a function decide, request by request."""
        for station in self.stations:
            station.lasting = choose
        return self

    def greets(self, data: bytes) -> Upstream:
        """Speak first on each connection, as servers of SMTP and MySQL do."""
        for station in self.stations:
            station.greeting = data
        return self

    def refuses(self) -> Upstream:
        """Nobody listens: connections are refused, those that stood are reset."""
        return self._listen(code=errno.ECONNREFUSED)

    def vanishes(self) -> Upstream:
        """Nothing comes back from there, not even a refusal."""
        return self._listen(silent=True)

    def recovers(self) -> Upstream:
        """Listen, and answer 200, as at the beginning."""
        for station in self.stations:
            station.next.clear()
            station.lasting = ANSWER
        return self._listen()

    @property
    def seen(self) -> list[SeenRequest]:
        """The requests that came, in the order of the virtual clock."""
        return sorted((seen for station in self.stations for seen in station.seen), key=lambda seen: seen.at)

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(station.name for station in self.stations)

    def _do(self, deed: Deed, times: int) -> Upstream:
        for station in self.stations:
            if times:
                station.next.extend([deed] * times)
            else:
                station.lasting = deed
        return self

    def _listen(self, code: int = 0, silent: bool = False) -> Upstream:
        for station in self.stations:
            station.listen(code, silent)
        return self
