"""The TLS that a client's connection came over, as far as requests are told of it."""

from __future__ import annotations

from ..transport import Secured


class Security:
    """The name that the client asked for, the certificate that it showed, as x-forwarded-client-cert has it (empty:
    none), and the TLS itself."""

    __slots__ = ("name", "certificate", "connection")

    def __init__(self, name: str, certificate: bytes, connection: Secured) -> None:
        self.name = name
        self.certificate = certificate
        self.connection = connection
