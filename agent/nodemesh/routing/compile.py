"""Snapshot to Tables: what did not change is taken over from the previous tables, object by object."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from ..config.destinationrule import DestinationRuleSpec
from ..config.meta import Object
from ..registry.changed import changed_keys
from ..registry.snapshot import Service, Snapshot
from .destinationrules import merge_destination_rules, rule_host
from .gatewayapi.attach import AttachResult, attach
from .locality import HOSTNAME
from .ownership import Owned, compile_owned
from .tables import (
    VIRTUAL_SERVICE,
    DestinationRule,
    Gateway,
    Sidecar,
    StagedRollout,
    Tables,
    TelemetryEntry,
    VirtualService,
)
from .virtualhosts import index_virtual_hosts, wildcards
from .virtualservices import compile_virtual_service, delegate_keys

V = TypeVar("V")


def compile_tables(snapshot: Snapshot, previous: Tables | None = None) -> Tables:
    """Compile a snapshot. With `previous` (compiled in this process, so that it knows its own snapshot) only what
    changed in between is compiled again; the meaning is the same either way."""
    if previous is None or previous.snapshot is None or previous.snapshot.mesh is not snapshot.mesh:
        previous = Tables(snapshot=Snapshot(mesh=snapshot.mesh))
    before = previous.snapshot
    assert before is not None
    addresses, networks = index_addresses(snapshot.services, previous)
    owned = compile_owned(snapshot, before, previous.ownership if isinstance(previous.ownership, Owned) else Owned())
    virtual_services = compile_virtual_services(snapshot, before, previous)
    virtual_hosts = index_virtual_hosts(virtual_services, previous)
    destination_rules = compile_destination_rules(snapshot, before, previous)
    sidecars = previous.sidecars if before.sidecars is snapshot.sidecars else compile_sidecars(snapshot)
    telemetries = previous.telemetries if before.telemetries is snapshot.telemetries else compile_telemetries(snapshot)
    gateways = previous.gateways if before.gateways is snapshot.gateways else compile_gateways(snapshot)
    attached = attach(snapshot, previous=previous.attached if isinstance(previous.attached, AttachResult) else None)
    rollouts = compile_rollouts(snapshot, virtual_services, destination_rules, previous)
    patched = [rule for rollout in rollouts for rule in rollout.virtual_services.values() if rule is not None]
    repatched = [rules for rollout in rollouts for rules in rollout.destination_rules.values() if rules is not None]
    labels = client_labels(
        (*virtual_services.values(), *patched), (*destination_rules.values(), *repatched), sidecars, snapshot
    )
    return Tables(
        version=snapshot.version,
        causes=snapshot.causes,
        mesh=snapshot.mesh,
        network=snapshot.network,
        services=snapshot.services,
        wildcard_services=wildcards(snapshot.services, previous.services, previous.wildcard_services),
        addresses=addresses,
        networks=networks,
        owned=owned.addresses,
        claimed_networks=owned.networks,
        ownership=owned,
        virtual_services=virtual_services,
        virtual_hosts=virtual_hosts,
        wildcard_virtual_hosts=wildcards(virtual_hosts, previous.virtual_hosts, previous.wildcard_virtual_hosts),
        destination_rules=destination_rules,
        wildcard_destination_rules=wildcards(
            destination_rules, previous.destination_rules, previous.wildcard_destination_rules
        ),
        sidecars=sidecars,
        telemetries=telemetries,
        gateways=gateways,
        routes=kept(attached.routes, previous.routes),
        mesh_routes=kept(attached.mesh_routes, previous.mesh_routes),
        listeners=kept(attached.listeners, previous.listeners),
        backend_tls=kept(attached.backend_tls, previous.backend_tls),
        backend_traffic=kept(attached.backend_traffic, previous.backend_traffic),
        rollouts=rollouts,
        client_labels=labels,
        client_nodes=HOSTNAME in labels or tells_nodes_apart(snapshot, before, previous),
        snapshot=snapshot,
        attached=attached,
    )


#: The parts of tables that are looked up by keys.
MAPPINGS = (
    "services", "addresses", "owned", "claimed_networks", "virtual_services", "virtual_hosts", "destination_rules",
    "routes", "mesh_routes", "listeners", "backend_tls", "backend_traffic",
)  # fmt: skip


def compile_beside(candidate: Snapshot, live: Tables, before: Tables | None = None) -> Tables:
    """The tables of a snapshot that differs from the live one. What is the same in both is the same object, and nothing
    of the live tables changes, nor of what the next ones are made from. `before` is what this gave last: what is the
    candidate's alone is not compiled again."""
    known = before is not None and before.snapshot is not None and before.snapshot.mesh is candidate.mesh
    base = before if known and before is not None else live
    tables = compile_tables(candidate, replace(base, attached=copy.copy(base.attached)))
    if base is live:
        return tables
    return replace(tables, **{name: kept(getattr(tables, name), getattr(live, name)) for name in MAPPINGS})


def kept(now: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """`now` with the former objects where they are equal; the former mapping itself where all are."""
    if now is before:
        return before
    found = {key: old if (old := before.get(key)) is value or old == value else value for key, value in now.items()}
    return before if len(found) == len(before) and not changed_keys(found, before) else found


def addresses_of(services: Iterable[Service]) -> set[str]:
    return {address for service in services for address in (*service.addresses, *service.allocated)}


def index_addresses(
    services: Mapping[str, tuple[Service, ...]], previous: Tables
) -> tuple[Mapping[str, tuple[str, ...]], tuple[tuple[str, str], ...]]:
    """Virtual addresses and CIDRs to hosts. An address may belong to several hosts (ServiceEntries may share one)."""
    touched: list[tuple[str, str, bool]] = []  # host, address, whether it is held now
    for host in changed_keys(services, previous.services):
        now, before = addresses_of(services.get(host, ())), addresses_of(previous.services.get(host, ()))
        touched.extend((host, address, address in now) for address in now ^ before)
    if not touched:
        return previous.addresses, previous.networks
    addresses = dict(previous.addresses)
    networks = set(previous.networks)
    for host, address, held in touched:
        if "/" in address:
            networks.discard((address, host))
            if held:
                networks.add((address, host))
            continue
        hosts = set(addresses.pop(address, ())) - {host}
        if held:
            hosts.add(host)
        if hosts:
            addresses[address] = tuple(sorted(hosts))
    return addresses, tuple(sorted(networks, key=lambda entry: (-int(entry[0].rpartition("/")[2]), entry)))


def compile_virtual_services(snapshot: Snapshot, before: Snapshot, previous: Tables) -> Mapping[str, VirtualService]:
    """A VirtualService is compiled again when it or one of its delegates changed."""
    objects = snapshot.virtual_services
    changed = changed_keys(objects, before.virtual_services)
    if not changed:
        return previous.virtual_services
    dirty = set(changed)
    for key, item in objects.items():
        if any(target in changed for target in delegate_keys(item)):
            dirty.add(key)
    compiled = dict(previous.virtual_services)
    for key in dirty:
        root = objects.get(key)
        virtual_service = compile_virtual_service(root, objects, snapshot.mesh) if root is not None else None
        if virtual_service is None:
            compiled.pop(key, None)
        elif compiled.get(key) != virtual_service:
            compiled[key] = virtual_service
    return compiled


def compile_destination_rules(
    snapshot: Snapshot, before: Snapshot, previous: Tables
) -> Mapping[str, tuple[DestinationRule, ...]]:
    """All rules of a host are merged again when one of them changed."""
    mesh = snapshot.mesh
    changed = changed_keys(snapshot.destination_rules, before.destination_rules)
    if not changed:
        return previous.destination_rules
    hosts = {
        rule_host(item, mesh)
        for key in changed
        for item in (snapshot.destination_rules.get(key), before.destination_rules.get(key))
        if item is not None
    }
    groups: dict[str, list[Object[DestinationRuleSpec]]] = {host: [] for host in hosts}
    for item in snapshot.destination_rules.values():
        host = rule_host(item, mesh)
        if host in groups:
            groups[host].append(item)
    compiled = dict(previous.destination_rules)
    for host, items in groups.items():
        merged = merge_destination_rules(items, mesh)
        if not merged:
            compiled.pop(host, None)
        elif compiled.get(host) != merged:
            compiled[host] = merged
    return compiled


def compile_rollouts(
    snapshot: Snapshot,
    virtual_services: Mapping[str, VirtualService],
    destination_rules: Mapping[str, tuple[DestinationRule, ...]],
    previous: Tables,
) -> tuple[StagedRollout, ...]:
    """What each rolled-out object would change in the tables, by itself."""
    if not snapshot.rollouts:
        return ()
    base = Tables(mesh=snapshot.mesh, virtual_services=virtual_services, destination_rules=destination_rules)
    known = {rollout.id: rollout for rollout in previous.rollouts}
    found = []
    for staged in snapshot.rollouts.values():
        field = "virtual_services" if staged.kind == VIRTUAL_SERVICE else "destination_rules"
        objects = {key: item for key, item in getattr(snapshot, field).items() if key != staged.key}
        if staged.item is not None:
            objects[staged.key] = staged.item
        changed = replace(snapshot, **{field: objects})
        patch = difference(compile_virtual_services(changed, snapshot, base), virtual_services)
        rules_patch = difference(compile_destination_rules(changed, snapshot, base), destination_rules)
        touched = [each for key in patch for each in (patch[key], virtual_services.get(key)) if each is not None]
        rollout = StagedRollout(
            id=staged.id,
            kind=staged.kind,
            key=staged.key,
            clients=staged.clients,
            nodes=staged.nodes,
            hosts=tuple(sorted({*rules_patch, *(host for each in touched for host in each.hosts)})),
            virtual_services=patch,
            destination_rules=rules_patch,
        )
        before = known.get(staged.id)
        found.append(before if before is not None and before == rollout else rollout)
    same = len(found) == len(previous.rollouts) and all(map(operator.is_, found, previous.rollouts))
    return previous.rollouts if same else tuple(found)


def difference(now: Mapping[str, V], before: Mapping[str, V]) -> dict[str, V | None]:
    return {key: now.get(key) for key in sorted(changed_keys(now, before))}


def compile_sidecars(snapshot: Snapshot) -> tuple[Sidecar, ...]:
    found = []
    for key, item in snapshot.sidecars.items():
        selector = item.spec.workload_selector
        found.append(
            Sidecar(
                key=key,
                namespace=item.meta.namespace,
                selector=(selector.labels or selector.match_labels) if selector is not None else {},
                spec=item.spec,
                created=item.meta.created,
                location=item.location,
            )
        )
    return tuple(sorted(found, key=lambda sidecar: (sidecar.created, sidecar.key)))


def compile_telemetries(snapshot: Snapshot) -> tuple[TelemetryEntry, ...]:
    found = [
        TelemetryEntry(
            key=key,
            namespace=item.meta.namespace,
            selector=item.spec.selector.match_labels if item.spec.selector is not None else {},
            spec=item.spec,
            created=item.meta.created,
            location=item.location,
        )
        for key, item in snapshot.telemetries.items()
    ]
    return tuple(sorted(found, key=lambda telemetry: (telemetry.created, telemetry.key)))


def compile_gateways(snapshot: Snapshot) -> tuple[Gateway, ...]:
    found = [
        Gateway(
            key=key,
            namespace=item.meta.namespace,
            selector=item.spec.selector,
            servers=item.spec.servers,
            created=item.meta.created,
            location=item.location,
        )
        for key, item in snapshot.gateways.items()
    ]
    return tuple(sorted(found, key=lambda gateway: (gateway.created, gateway.key)))


def client_labels(
    virtual_services: Iterable[VirtualService],
    destination_rules: Iterable[tuple[DestinationRule, ...]],
    sidecars: tuple[Sidecar, ...],
    snapshot: Snapshot,
) -> frozenset[str]:
    """The keys of client labels that any rule reads: clients that differ in others only share one view."""
    found: set[str] = set()
    for virtual_service in virtual_services:
        found |= virtual_service.labels
    settings = [snapshot.mesh.locality_lb_setting]
    for rules in destination_rules:
        for rule in rules:
            found.update(rule.selector)
            for policy in (rule.policy, *(subset.traffic_policy for subset in rule.subsets)):
                for block in (policy, *(policy.port_level_settings if policy is not None else ())):
                    if block is not None and block.load_balancer is not None:
                        settings.append(block.load_balancer.locality_lb_setting)
    for setting in settings:
        if setting is not None:
            found.update(label.partition("=")[0] for label in setting.failover_priority)
    for sidecar in sidecars:
        found.update(sidecar.selector)
    return frozenset(found)


def tells_nodes_apart(snapshot: Snapshot, before: Snapshot, previous: Tables) -> bool:
    """Whether any service prefers endpoints of the client's own node. Where none did, only what changed may."""
    hosts: Iterable[str] = snapshot.services
    if not previous.client_nodes:
        hosts = changed_keys(snapshot.services, before.services)
    return any(
        service.internal_traffic_policy == "Local"
        or service.traffic_distribution == "PreferSameNode"
        or service.hints_nodes
        for host in hosts
        for service in snapshot.services.get(host, ())
    )
