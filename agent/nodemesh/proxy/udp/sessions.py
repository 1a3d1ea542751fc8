"""The clients of one UDP port of a gateway: who has a session, and who loses one where there is no room for all."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..accept.sources import source_of
from ..addresses import show
from ..pod import Pod
from ..transport import Buffer
from .session import ClientEntrance, Ends, SessionOwner, UdpSession

#: Sessions of a port in each worker, whatever its pod may have of connections: each holds a socket, and whoever sends
#: datagrams may write any address on them.
MOST: Final = 4096

#: A client's sessions, the one that it has used least recently first.
Source = dict[Ends, UdpSession]


class Sessions(SessionOwner):
    """One worker's. Where there is no room, the client with the most sessions gives up the one that it has used least
    recently; among equals the client that has been silent for longest."""

    __slots__ = ("most", "_known", "_sources", "_largest", "_looked")

    def __init__(self, pod: Pod, most: int = MOST) -> None:
        super().__init__(pod)
        self.most = most
        self._known: dict[Ends, UdpSession] = {}
        self._sources: dict[str, Source] = {}  # by address, the one that was heard least recently first
        self._largest: Source = {}
        self._looked = -1.0

    def received(self, data: Buffer, entrance: ClientEntrance, ends: Ends, hops: int) -> None:
        """A datagram of a client has come, with so many hops left."""
        session = self._known.get(ends)
        if session is not None and not session.stands:
            session.end()
            session = None
        if session is None:
            session = self._enter(entrance, ends)
            if session is None:
                return
        source = self._sources.pop(session.source)
        self._sources[session.source] = source
        del source[ends]
        source[ends] = session
        session.forward(data, hops)

    def _enter(self, entrance: ClientEntrance, ends: Ends) -> UdpSession | None:
        """A session for a client that has none; None where there cannot be one."""
        pod = self.pod
        if len(self._known) >= self.most:
            self._make_room()
        if not pod.budget.try_connection():
            self._make_room()
            if not pod.budget.try_connection():
                return None
        session = UdpSession(self, entrance, ends, source_of(show(ends[0])))
        self._known[ends] = session
        self._sources.setdefault(session.source, {})[ends] = session
        pod.connections[session] = None
        return session

    def _make_room(self) -> None:
        """The largest is looked for once in a turn: there may be as many clients as sessions."""
        if not self._sources:
            return
        now = self.pod.shared.clock.now
        if self._looked != now:
            self._looked = now
            self._largest = max(self._sources.values(), key=len)
        source = self._largest if len(self._largest) > 1 else next(iter(self._sources.values()))
        next(iter(source.values())).end(Reason.LIMIT_PER_POD)

    def forget(self, session: UdpSession) -> None:
        """It is over."""
        if self._known.pop(session.ends, None) is None:
            return
        source = self._sources[session.source]
        del source[session.ends]
        if not source:
            del self._sources[session.source]
        self.pod.forget(session)

    def close(self) -> None:
        """The port is gone."""
        for session in list(self._known.values()):
            session.end()
