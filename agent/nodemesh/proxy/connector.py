"""Connecting to an endpoint by its approach: its name is looked up, and TLS is put on the connection if it has that."""

from __future__ import annotations

import socket
from functools import lru_cache
from random import Random

from ..registry.snapshot import Endpoint
from ..routing.decision import Approach
from .clock import Clock
from .doomed import Doomed
from .layered import Lower
from .network import Network
from .outlet import Outlet
from .preamble import write_header
from .tls.certificates import Certificates
from .tls.transport import TlsError, TlsTransport
from .transport import Handler, Transport


class Connector:
    """One for all clusters of a worker. `addresses` are those of endpoints that are known by name."""

    __slots__ = ("network", "clock", "rng", "certificates", "addresses")

    def __init__(self, network: Network, clock: Clock, rng: Random) -> None:
        self.network = network
        self.clock = clock
        self.rng = rng
        self.certificates = Certificates()
        self.addresses: dict[str, tuple[str, ...]] = {}

    def connect(
        self,
        endpoint: Endpoint,
        approach: Approach,
        outlet: Outlet,
        handler: Handler,
        name: str,
        alpn: str,
        source: str = "",
        destination: str = "",
    ) -> Transport:
        """Open a connection to an endpoint; failure comes by `Handler.lost` on a later turn. `name` is the TLS
        server's, `alpn` what will be spoken, empty where that is not known. `source` and `destination` are the ends of
        the one client's connection that it stands for."""
        network, tls, keepalive = self.network, approach.tls, approach.keepalive
        found = endpoint if is_literal(endpoint.address) else self.resolve(endpoint)
        header = write_header(approach.proxy_protocol, source, destination) if approach.proxy_protocol else b""
        if tls is None:
            plain = network.connect(found, outlet.namespace, outlet.lane, keepalive, handler)
            if header:
                plain.send(header)
            return plain
        try:
            terms = self.certificates.client_terms(tls, name, alpn)
            transport = TlsTransport(handler, terms)
        except TlsError as error:
            return Doomed(handler, self.clock, outlet.gate, error)
        except ValueError as error:
            return Doomed(handler, self.clock, outlet.gate, TlsError(f"{name!r} is no server name: {error}"))
        lower = network.connect(found, outlet.namespace, outlet.lane, keepalive, Lower(transport))
        if header:  # before all else, TLS among it
            lower.send(header)
        transport.attach(lower)
        return transport

    def resolve(self, endpoint: Endpoint) -> Endpoint | None:
        """An endpoint that is known by name, with one of the addresses that control has found for it."""
        addresses = self.addresses.get(endpoint.address)
        if not addresses:
            return None
        return Endpoint(address=self.rng.choice(addresses), port=endpoint.port)


@lru_cache(4096)
def is_literal(address: str) -> bool:
    """Whether an endpoint's address needs no name resolution."""
    if address.startswith("unix://"):
        return True
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return False
    return True
