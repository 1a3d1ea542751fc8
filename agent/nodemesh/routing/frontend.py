"""What a dialled address means to one client: the logical stage, and which way its connections take."""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ..config.meshconfig import FailurePolicy
from ..registry.snapshot import Protocol, Service
from .decision import Route


class Mode(StrEnum):
    """pass: untouched. kernel: an endpoint is picked at connect(). proxy: the L7 proxy takes the connection."""

    PASS = "pass"
    KERNEL = "kernel"
    PROXY = "proxy"


class Frontend(msgspec.Struct, frozen=True, kw_only=True):
    """One dialled (address, port) as one client sees it. `service` is None where the registry does not know the
    address. `mode_reason` is a sentence that names the rule which decided. `tcp` is the connection's decision where
    mode is kernel: its destinations and their endpoints go into the kernel's maps."""

    addresses: tuple[str, ...]
    port: int  # that was dialled
    protocol: Protocol
    service: Service | None = None
    mode: Mode = Mode.PROXY
    mode_reason: str = ""
    failure_policy: FailurePolicy = FailurePolicy.OPEN
    tcp: Route | None = None
    endpoint: bool = False  # an endpoint's own address was dialled, not the service's
    http_rules: str = ""  # the VirtualService whose rules hold for what speaks HTTP here, and for nothing else
    yields: bool = False  # in kernel mode: the proxy may have its connections for a while
    service_port: int = 0  # the service's port where an endpoint's own port was dialled instead (0: the same)

    @property
    def logical_port(self) -> int:
        """The service port that rules speak of."""
        return self.service_port or self.port

    @property
    def kernel_hosts(self) -> frozenset[str]:
        """The hosts to whose endpoints its connections go from within the kernel, where the proxy may have them for a
        while; else none."""
        if not self.yields or self.tcp is None:
            return frozenset()
        return frozenset(one.cluster.host for one in self.tcp.destinations if one.cluster is not None)


def allocated_frontend(frontend: Frontend) -> Frontend:
    """A service at the addresses that the mesh has given it. They lead nowhere else: what cannot be taken over now is
    refused, so that clients ask for the name again."""
    assert frontend.service is not None
    passes = frontend.mode is Mode.PASS
    return replace(
        frontend,
        addresses=frontend.service.allocated,
        mode=Mode.PROXY if passes else frontend.mode,
        mode_reason="its address is the mesh's own, in the place of one that it lacks"
        if passes
        else frontend.mode_reason,
        failure_policy=FailurePolicy.CLOSED,
    )
