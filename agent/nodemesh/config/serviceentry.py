"""ServiceEntry as Istio's networking API defines it: hosts added to the service registry."""

from __future__ import annotations

from enum import StrEnum

from .base import Model, NetworkingWorkloadSelector, UInt32
from .workload import WorkloadEntrySpec


class ServiceEntrySpec(Model, frozen=True, kw_only=True):
    hosts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Location | None = None
    resolution: Resolution | None = None
    endpoints: tuple[WorkloadEntrySpec, ...] = ()
    workload_selector: NetworkingWorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


class Location(StrEnum):
    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(StrEnum):
    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class ServicePort(Model, frozen=True, kw_only=True):
    number: UInt32 | None = None
    protocol: str | None = None
    name: str | None = None
    target_port: UInt32 | None = None


class ServiceEntryStatus(Model, frozen=True, kw_only=True):
    addresses: tuple[ServiceEntryAddress, ...] = ()


class ServiceEntryAddress(Model, frozen=True, kw_only=True):
    value: str | None = None
    host: str | None = None
