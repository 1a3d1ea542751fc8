"""ServiceEntry as Istio's networking API defines it: hosts added to the service registry."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, NetworkingWorkloadSelector, UInt32
from .workload import WorkloadEntrySpec


class ServiceEntrySpec(Model, frozen=True, kw_only=True):
    """Adds hosts to the registry: outside services, or workloads outside Kubernetes. Resolution defaults to NONE,
    location to MESH_EXTERNAL."""

    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: EntryLocation | None = None
    resolution: EntryResolution | None = None
    endpoints: tuple[WorkloadEntrySpec, ...] = ()
    workload_selector: NetworkingWorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class EntryLocation(StrEnum):
    """Whether the hosts belong to the mesh."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class EntryResolution(StrEnum):
    """Where the endpoints come from: the dialled address, the list, DNS (all addresses or one at a time), or DNS by
    request."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class ServicePort(Model, frozen=True, kw_only=True):
    """A port that clients dial; `target_port` is the endpoints', the same unless said."""

    number: UInt32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None


class ServiceEntryStatus(Model, frozen=True, kw_only=True):
    """What Istio writes back: the addresses that it allocated."""

    addresses: tuple[ServiceEntryAddress, ...] = ()


class ServiceEntryAddress(Model, frozen=True, kw_only=True):
    """An allocated address and its host."""

    value: str | None = None
    host: str | None = None
