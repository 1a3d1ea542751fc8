"""Tables on their way to the workers: msgpack, complete or as the difference from a version that the worker has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from ..config.meshconfig import MeshConfigSpec
from ..registry.carry import decode_scalar, encode_scalar
from ..registry.changed import changed_keys
from ..registry.snapshot import Service
from .gatewayapi.rules import BackendTls, BackendTraffic, MeshRoute, ResolvedRoute, ServedListener
from .tables import DestinationRule, Gateway, Part, Sidecar, StagedRollout, Tables, TelemetryEntry, VirtualService

V = TypeVar("V")

Services = tuple[Service, ...]


class Update(Part, frozen=True, kw_only=True, array_like=True):
    """Tables against those of version `base` (0: against nothing). In the maps None means removed; of the rest None
    means unchanged. Services travel undecoded: a worker needs few of them."""

    version: int
    base: int
    causes: tuple[str, ...] = ()
    mesh: MeshConfigSpec | None = None
    services: dict[str, msgspec.Raw] = {}
    addresses: dict[str, tuple[str, ...] | None] = {}
    owned: dict[str, str | None] = {}
    claimed_networks: dict[str, tuple[str, ...] | None] = {}
    virtual_services: dict[str, VirtualService | None] = {}
    virtual_hosts: dict[str, tuple[str, ...] | None] = {}
    destination_rules: dict[str, tuple[DestinationRule, ...] | None] = {}
    wildcard_services: tuple[str, ...] | None = None
    networks: tuple[tuple[str, str], ...] | None = None
    wildcard_virtual_hosts: tuple[str, ...] | None = None
    wildcard_destination_rules: tuple[str, ...] | None = None
    sidecars: tuple[Sidecar, ...] | None = None
    telemetries: tuple[TelemetryEntry, ...] | None = None
    gateways: tuple[Gateway, ...] | None = None
    routes: dict[str, ResolvedRoute | None] = {}
    mesh_routes: dict[str, tuple[MeshRoute, ...] | None] = {}
    listeners: dict[str, ServedListener | None] = {}
    backend_tls: dict[str, tuple[BackendTls, ...] | None] = {}
    backend_traffic: dict[str, BackendTraffic | None] = {}
    client_labels: frozenset[str] | None = None
    client_nodes: bool | None = None
    network: str | None = None
    rollouts: tuple[StagedRollout, ...] | None = None


#: Attributes of the tables that travel as differences by key, and those that travel whole where they changed.
MAPS = (
    "addresses", "owned", "claimed_networks", "virtual_services", "virtual_hosts", "destination_rules", "routes",
    "mesh_routes", "listeners", "backend_tls", "backend_traffic",
)  # fmt: skip
WHOLES = (
    "mesh",
    "wildcard_services",
    "networks",
    "wildcard_virtual_hosts",
    "wildcard_destination_rules",
    "sidecars",
    "telemetries",
    "gateways",
    "client_labels",
    "client_nodes",
    "network",
    "rollouts",
)


class WireError(ValueError):
    """The update does not fit the tables at hand."""


ENCODER = msgspec.msgpack.Encoder(enc_hook=encode_scalar)
UPDATE_DECODER = msgspec.msgpack.Decoder(Update, dec_hook=decode_scalar)
SERVICES_DECODER = msgspec.msgpack.Decoder(Services, dec_hook=decode_scalar)
REMOVED = msgspec.Raw(msgspec.msgpack.encode(None))


class LazyServices(Mapping[str, Services]):
    """Services by host, each decoded when it is first looked up."""

    __slots__ = ("_items",)

    def __init__(self, items: dict[str, Services | msgspec.Raw]) -> None:
        self._items = items

    def __getitem__(self, host: str) -> Services:
        item = self._items[host]
        if isinstance(item, msgspec.Raw):
            item = self._items[host] = SERVICES_DECODER.decode(item)
        return item

    def get(self, host: str, default: Any = None) -> Any:
        return self[host] if host in self._items else default

    def __contains__(self, host: object) -> bool:
        return host in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def changed(self, changes: Mapping[str, msgspec.Raw]) -> LazyServices:
        """These services with some replaced or removed; the others stay what they are, decoded or not."""
        items = dict(self._items)
        for host, item in changes.items():
            if bytes(item) == bytes(REMOVED):
                items.pop(host, None)
            else:
                items[host] = item.copy()  # not a slice that keeps the whole message alive
        return LazyServices(items)


def encode_update(previous: Tables | None, tables: Tables) -> bytes:
    """Everything that a worker with `previous` (None: with nothing) needs to have `tables`."""
    before = previous if previous is not None else Tables()
    values: dict[str, Any] = {name: difference(getattr(before, name), getattr(tables, name)) for name in MAPS}
    values["services"] = difference(before.services, tables.services)
    for name in WHOLES:
        if previous is None or getattr(previous, name) is not getattr(tables, name):
            values[name] = getattr(tables, name)
    return ENCODER.encode(Update(version=tables.version, base=before.version, causes=tables.causes, **values))


def difference(before: Mapping[str, V], now: Mapping[str, V]) -> dict[str, V | None]:
    if not before:
        return dict(now)
    return {key: now.get(key) for key in changed_keys(now, before)}


def apply_update(tables: Tables | None, data: bytes) -> Tables:
    """The tables after an update; what it does not mention is the very same object as before. Raises WireError where
    it builds on another version or cannot be read."""
    try:
        update = UPDATE_DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise WireError(f"the update of the tables cannot be read: {error}") from None
    have = tables if tables is not None else Tables()
    if update.base and update.base != have.version:
        raise WireError(f"the update builds on version {update.base} of the tables, but version {have.version} is here")
    if not update.base:
        have = Tables()
    services = have.services if isinstance(have.services, LazyServices) else LazyServices(dict(have.services))
    values: dict[str, Any] = {name: changed(getattr(have, name), getattr(update, name)) for name in MAPS}
    for name in WHOLES:
        value = getattr(update, name)
        values[name] = value if value is not None else getattr(have, name)
    if update.services:
        services = services.changed(update.services)
    return Tables(version=update.version, causes=update.causes, services=services, **values)


def changed(before: Mapping[str, V], changes: Mapping[str, V | None]) -> Mapping[str, V]:
    if not changes:
        return before
    return {key: value for key, value in {**before, **changes}.items() if value is not None}
