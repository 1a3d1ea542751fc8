"""What differs between two versions and is not compared: it shows in no answer, and a difference says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ...config.gateway import Server, ServerTLSSettings
from ...registry.snapshot import Service
from ..tables import Gateway, Tables
from .told import camel

#: Names that are written out of one kind.
SHOWN = 5

#: What answers show of a Service or ServiceEntry, and what means nothing by itself.
SERVICE_COMPARED = frozenset({
    "host", "namespace", "ports", "resolution", "external", "kind", "export_to", "alias_of", "annotations",
    "subject_alt_names", "traffic_distribution",
})  # fmt: skip
SERVICE_MEANINGLESS = frozenset({"name", "entry", "labels", "selector", "created", "location"})

#: What answers show of MeshConfig. Whatever else there is, is not compared.
MESH_COMPARED = frozenset({
    "root_namespace", "cluster_domain", "outbound_traffic_policy", "default_http_retry_policy", "connect_timeout",
    "default_traffic_policy", "h2_upgrade_policy", "locality_lb_setting", "discovery_selectors",
    "default_service_export_to", "default_virtual_service_export_to", "default_destination_rule_export_to", "l7",
    "failure_policy", "host_ownership",
})  # fmt: skip


def not_compared(old: Tables, new: Tables) -> tuple[str, ...]:
    """A phrase for each kind of thing, with whose it is."""
    found: dict[str, list[str]] = {}
    for host in sorted(old.services.keys() & new.services.keys()):
        for name in differing_services(old.services[host], new.services[host]):
            found.setdefault(f"{name} of", []).append(host)
    for name in differing_fields(old.mesh, new.mesh, MESH_COMPARED):
        found.setdefault("MeshConfig's", []).append(camel(name))
    for key, _ in differing_keys(telemetries(old), telemetries(new)):
        found.setdefault("what is logged, traced and measured by Telemetry", []).append(key)
    for key, what in differing_keys(listening(old.gateways), listening(new.gateways)):
        if what:
            found.setdefault("certificates, TLS versions and addresses of Gateway", []).append(key)
    return tuple(f"{what} {listed(names)}" for what, names in found.items())


def differing_services(old: tuple[Service, ...], new: tuple[Service, ...]) -> list[str]:
    names: dict[str, None] = {}
    for before, after in zip(old, new, strict=False):
        names |= dict.fromkeys(differing_fields(before, after, SERVICE_COMPARED | SERVICE_MEANINGLESS))
    return [camel(name) for name in names]


def differing_fields(old: msgspec.Struct, new: msgspec.Struct, aside: frozenset[str]) -> list[str]:
    if old is new:
        return []
    return [name for name in old.__struct_fields__ if name not in aside and getattr(old, name) != getattr(new, name)]


def differing_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[tuple[str, bool]]:
    """The keys of what differs, and whether it is on both sides."""
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield key, key in old and key in new


def telemetries(tables: Tables) -> Mapping[str, Any]:
    return {entry.key: (entry.selector, entry.spec) for entry in tables.telemetries}


def listening(gateways: Iterable[Gateway]) -> Mapping[str, Any]:
    """Of each Gateway what its listeners are like, beside what is served there."""
    return {gateway.key: [aside_of(server) for server in gateway.servers] for gateway in gateways}


def aside_of(server: Server) -> tuple[object, ...]:
    tls = server.tls
    if tls is not None:
        plain = ServerTLSSettings()
        tls = msgspec.structs.replace(tls, mode=plain.mode, https_redirect=plain.https_redirect)
    number = server.port.number if server.port is not None else 0
    return number, server.bind, tls


def listed(names: list[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
