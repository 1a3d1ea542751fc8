"""How a simulated client reaches what it dials: by the proxy, past it as the kernel would have it, or by a gateway."""

from __future__ import annotations

from typing import Any, Protocol

from ..config.validate.common import is_ip
from ..registry.snapshot import Health, Resolution
from ..routing.client import Client
from ..routing.explain import why_excluded
from ..routing.frontend import Frontend, Mode
from ..routing.ownership import ENTRY
from .asking import RequestSpec
from .caller import BytesCaller, Http1Caller, Http2Caller, SimCall, SimCaller
from .pipe import Peer
from .places import MeshError, SimNetwork
from .tls import Simulated, TlsLine
from .world import World

#: Where clients are that come from nowhere in particular: in the mesh, and outside (RFC 5737's network for examples).
INSIDE = "10.1.0.9"
OUTSIDE = "203.0.113.9"

PORTS = (10_000, 60_000)


class Surroundings(Protocol):
    """What clients find around them."""

    world: World
    places: SimNetwork

    @property
    def certificates(self) -> Simulated:
        """Made when they are first asked for."""

    def resolve(self, host: str) -> str:
        """The address of a host outside."""


class Dialler:
    """Keeps connections for further requests, as clients do."""

    def __init__(self, mesh: Surroundings) -> None:
        self._mesh = mesh
        self._idle: dict[tuple[Any, ...], list[SimCaller]] = {}
        self._once: set[int] = set()
        self._port = PORTS[0]

    def caller(self, asked: RequestSpec, client: Client, http2: bool, source: str, call: SimCall) -> SimCaller:
        """A connection that is free, or a new one."""
        key = (id(client), asked.scheme, asked.host, asked.port, asked.sni, http2, source)
        idle = self._idle.setdefault(key, [])
        caller = next((each for each in idle if each.usable), None)
        if caller is not None:
            call.answer.mode = Mode.PROXY.value
            return caller
        idle[:] = [each for each in idle if not each.peer.closed]
        self._port = self._port + 1 if self._port < PORTS[1] else PORTS[0]
        self._once.discard(self._port)
        call.answer.mode = Mode.PROXY.value
        peer = self._enter(asked, client, source) if client.gateway else self._dial(asked, client, call)
        caller = self._speak(asked, peer, http2)
        if isinstance(caller, BytesCaller) or call.answer.mode != Mode.PROXY.value:
            self._once.add(caller.port)
        else:
            idle.append(caller)
        return caller

    def is_used_once(self, caller: SimCaller) -> bool:
        """Whether the connection serves no further request: the record of one without HTTP comes when it ends."""
        return caller.port in self._once

    def _speak(self, asked: RequestSpec, peer: Peer, http2: bool) -> SimCaller:
        tls = None
        if asked.scheme in ("https", "tls"):
            context = self._mesh.certificates.client("h2" if http2 else "http/1.1")
            tls = TlsLine(peer, context, None if is_ip(asked.sni) else asked.sni)
        kind: type[SimCaller] = Http2Caller if http2 else Http1Caller
        if asked.scheme in ("tcp", "tls"):
            kind = BytesCaller
        return kind(self._mesh.world.clock, peer, self._port, tls)

    def _enter(self, asked: RequestSpec, client: Client, source: str) -> Peer:
        world = self._mesh.world
        remote = f"{source or OUTSIDE}:{self._port}"
        peer = world.enter(client, remote, asked.port)
        if world.pod(client, asked.port).edge.proxy_protocol:
            family = "TCP6" if ":" in (source or OUTSIDE) else "TCP4"
            target = "::1" if family == "TCP6" else "192.0.2.1"
            peer.send(f"PROXY {family} {source or OUTSIDE} {target} {self._port} {asked.port}\r\n".encode())
        return peer

    def _dial(self, asked: RequestSpec, client: Client, call: SimCall) -> Peer:
        """As the datapath: what is left alone, or balanced by the kernel, is no request for the proxy."""
        world = self._mesh.world
        view = world.proxy.views.for_client(client)
        host, port = self._looked_up(view.frontend_for_host(asked.host, asked.port), asked, client)
        frontend = view.frontend_for_host(host, port)
        remote = f"{(client.addresses or (INSIDE,))[0]}:{self._port}"
        mode = frontend.mode
        if why_excluded(view.tables.snapshot, client, frontend, host, port):
            mode = Mode.PASS
        call.answer.mode = mode.value
        if mode is Mode.PROXY:
            return world.dial(client, remote, (host, port))
        passes = mode is Mode.PASS
        decision = view.builder().passed_through() if passes else view.tcp(frontend, host if is_ip(host) else "")
        return world.relay(client, remote, (host, port), decision)

    def _looked_up(self, frontend: Frontend, asked: RequestSpec, client: Client) -> tuple[str, int]:
        """What the client's DNS says: a service's name is the service, unless clients dial its pods or it lies outside.
        Raises MeshError."""
        service, host, port = frontend.service, asked.host, asked.port
        if is_ip(host):
            return host, port
        places = self._mesh.places
        if service is None:
            if "." not in host or host.endswith(
                (".svc", f".{self._mesh.world.proxy.views.tables.mesh.cluster_domain}")
            ):
                raise MeshError(f"{host}:{port} is no service{places.meant(host, client.namespace)}")
            return self._mesh.resolve(host), port
        if service.resolution is Resolution.HEADLESS:
            ready = [each for each in service.endpoints.get(port, ()) if each.health is Health.READY]
            if not ready:
                raise MeshError(f"{host} has no pods, so its name has no address")
            chosen = self._mesh.world.proxy.shared.rng.choice(ready)
            return chosen.address, chosen.port
        if service.addresses or service.allocated or service.kind != ENTRY:
            return host, port  # a Service's address is the cluster's to give
        return self._mesh.resolve(host), port
