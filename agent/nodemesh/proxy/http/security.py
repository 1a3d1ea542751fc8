"""The TLS that a client's connection came over, as far as requests are told of it."""

from __future__ import annotations


class Security:
    """The name that the client asked for, and the certificate that it showed, as x-forwarded-client-cert has it (empty:
    none)."""

    __slots__ = ("name", "certificate")

    def __init__(self, name: str, certificate: bytes) -> None:
        self.name = name
        self.certificate = certificate
