"""The clients that the rules of two versions may tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import msgspec

from ...config.virtualservice import HTTPMatchRequest, L4MatchAttributes, TLSMatchAttributes
from ..client import Client
from ..gatewayapi import GATEWAY_NAME_LABEL
from ..gatewayapi.names import label_value
from ..tables import Tables

#: Clients that are looked at; more are cut.
MOST = 64

Labels = frozenset[tuple[str, str]]


class Who(msgspec.Struct, frozen=True):
    """A client, and how people would name those that it represents."""

    client: Client
    text: str


def clients_of(*versions: Tables) -> tuple[list[Who], list[str]]:
    """Clients in the mesh, and sentences about what was cut."""
    special = sorted(set().union(*map(namespaces_told, versions)))
    known = sorted(set().union(*map(namespaces_of, versions)) | {"default"})
    other = next((name for name in known if name not in special), "other-namespace")
    sets = sorted(set().union(*map(label_sets, versions)), key=sorted)
    joint = [one | two for one, two in combinations(sets, 2) if agree(one, two)]
    found: dict[tuple[str, Labels], None] = {}
    for labels in (frozenset(), *sets, *joint):
        for namespace in (other, *special):
            found.setdefault((namespace, labels))
    who = [
        Who(made(namespace, labels, versions), text_of(namespace, labels, other, alone=not sets))
        for namespace, labels in found
    ]
    cuts = []
    if len(who) > MOST:
        cuts.append(f"{len(who) - MOST} of {len(who)} kinds of clients (namespaces and labels that rules read)")
    return who[:MOST], cuts


def made(namespace: str, labels: Labels, versions: tuple[Tables, ...]) -> Client:
    return Client(namespace=namespace, labels=dict(labels), network=versions[-1].network)


def text_of(namespace: str, labels: Labels, other: str, *, alone: bool) -> str:
    """`alone` where nothing asks for labels: else those without are the others."""
    parts = [f"with {', '.join(f'{key}={value}' for key, value in sorted(labels))}"] if labels else []
    if namespace != other:
        parts.append(f"in {namespace}")
    word = "clients" if labels or (parts and alone) else "other clients"
    return " ".join([word, *parts])


def agree(one: Labels, two: Labels) -> bool:
    first = dict(one)
    return all(first.get(key, value) == value for key, value in two)


def namespaces_of(tables: Tables) -> set[str]:
    found = {service.namespace for services in tables.services.values() for service in services}
    if tables.snapshot is not None:
        found |= {workload.namespace for workload in tables.snapshot.workloads.values()}
    return found


def namespaces_told(tables: Tables) -> set[str]:
    """Those that make a difference: where Sidecars stand, where things are exported to, that rules name, whose own
    DestinationRules come first."""
    found = {sidecar.namespace for sidecar in tables.sidecars}
    for virtual_service in tables.virtual_services.values():
        found |= set(virtual_service.export_to)
    found |= {match.source_namespace or "" for match in matches_of(tables)}
    for rules in tables.destination_rules.values():
        for rule in rules:
            found |= {rule.namespace, *rule.export_to}
    for services in tables.services.values():
        for service in services:
            found |= set(service.export_to)
    return found - {"*", "", "~", "."}


def label_sets(tables: Tables) -> set[Labels]:
    """The labels that matches and selectors ask clients for."""
    found = {frozenset(match.source_labels.items()) for match in matches_of(tables)}
    found |= {frozenset(sidecar.selector.items()) for sidecar in tables.sidecars}
    found |= {frozenset(rule.selector.items()) for rules in tables.destination_rules.values() for rule in rules}
    return found - {frozenset()}


def matches_of(tables: Tables) -> Iterator[HTTPMatchRequest | TLSMatchAttributes | L4MatchAttributes]:
    for virtual_service in tables.virtual_services.values():
        for rule in virtual_service.rules:
            yield from rule.route.match


def gateways_of(*versions: Tables) -> list[Who]:
    """The workloads that Gateways select, and those of the Gateway API's Gateways."""
    found: dict[tuple[str, Labels], Mapping[str, str]] = {}
    for tables in versions:
        for gateway in tables.gateways:
            found.setdefault((gateway.namespace, frozenset(gateway.selector.items())), gateway.selector)
        for listener in tables.listeners.values():
            namespace, _, name = listener.gateway.partition("/")
            labels = {GATEWAY_NAME_LABEL: label_value(name)}
            found.setdefault((namespace, frozenset(labels.items())), labels)
    return [
        Who(
            Client(namespace=namespace, labels=dict(labels), gateway=True),
            f"gateway {', '.join(f'{key}={value}' for key, value in sorted(labels.items())) or 'of any label'}",
        )
        for (namespace, _), labels in found.items()
    ]
