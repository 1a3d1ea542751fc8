"""What each end of a TLS connection asks of the other: the context it begins with, and whose certificate it takes."""

from __future__ import annotations

import ssl
from typing import Final

from ...bounded import Bounded
from ..transport import Secured
from .names import is_for, names_in
from .transport import Terms

#: Sessions kept for resumption, of one context.
MAX_SESSIONS: Final = 256


class ClientTerms(Terms):
    """To call a server; the certificate must be for one of the `allowed` names, if there are any."""

    __slots__ = ("_allowed", "_sessions")

    def __init__(
        self, context: ssl.SSLContext, name: str, allowed: tuple[str, ...], sessions: Bounded[str, ssl.SSLSession]
    ) -> None:
        super().__init__(context, False, name or None)
        self._allowed = allowed
        self._sessions = sessions

    def session(self) -> ssl.SSLSession | None:
        return self._sessions.found.get(self.name or "")

    def objection(self, connection: Secured) -> str:
        if not self._allowed:
            return ""
        names = names_in(connection.getpeercert() or {})
        if any(is_for(names, name) for name in self._allowed):
            return ""
        known = ", ".join(value for _, value in names) or "no name"
        return f"the certificate is for {known}, not for {' or '.join(self._allowed)}"

    def remember(self, connection: Secured) -> None:
        session = connection.session
        if session is not None and session.has_ticket:
            self._sessions.keep(self.name or "", session)


class ServerTerms(Terms):
    """To answer clients; where a client has a certificate, it must be for one of the `allowed` names, if any."""

    __slots__ = ("_allowed",)

    def __init__(self, context: ssl.SSLContext, allowed: tuple[str, ...]) -> None:
        super().__init__(context, True)
        self._allowed = allowed

    def objection(self, connection: Secured) -> str:
        certificate = connection.getpeercert() if self._allowed else None
        if not certificate:
            return ""
        names = names_in(certificate)
        return "" if any(is_for(names, name) for name in self._allowed) else "the client's certificate has another name"
