"""Staged rollouts in the tables: what canaries see instead, and who they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TypeVar

from msgspec.structs import replace

from .client import Client
from .tables import StagedRollout, Tables
from .virtualhosts import index_virtual_hosts, wildcards

V = TypeVar("V")

#: The ids of the rollouts in which a client is a canary.
Cohort = tuple[str, ...]


def cohort_of(rollouts: Iterable[StagedRollout], client: Client) -> Cohort:
    return tuple(rollout.id for rollout in rollouts if is_canary(rollout, client))


def is_canary(rollout: StagedRollout, client: Client) -> bool:
    """Whether a client gets a change first: by its node, or by its name, so that a pod is one for as long as it lives,
    whichever agent asks. Who has no name is none. A gateway is one by its node alone, which its operator has named: by
    its name all the world, or nobody, would be with it."""
    if client.name and client.node in rollout.nodes:
        return True
    if client.gateway or not client.name:
        return False
    return rollout.clients > 0.0 and share_of(rollout, client) < rollout.clients


def share_of(rollout: StagedRollout, client: Client) -> float:
    """A client's place between 0 and 100. It is another one for each namespace's objects, and the same for all of them:
    a VirtualService and the DestinationRule that has its subsets reach a client together."""
    name = f"{rollout.key.partition('/')[0]} {client.namespace}/{client.name}"
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") / 2.0**64 * 100.0


def variant(tables: Tables, cohort: Cohort) -> Tables:
    """The tables as a canary sees them. Of two rollouts that would change the same compiled rule the later one does."""
    virtual_services = dict(tables.virtual_services)
    destination_rules = dict(tables.destination_rules)
    for rollout in tables.rollouts:
        if rollout.id in cohort:
            _put(virtual_services, rollout.virtual_services)
            _put(destination_rules, rollout.destination_rules)
    virtual_hosts = index_virtual_hosts(virtual_services, tables)
    return replace(
        tables,
        virtual_services=virtual_services,
        virtual_hosts=virtual_hosts,
        wildcard_virtual_hosts=wildcards(virtual_hosts, tables.virtual_hosts, tables.wildcard_virtual_hosts),
        destination_rules=destination_rules,
        wildcard_destination_rules=wildcards(
            destination_rules, tables.destination_rules, tables.wildcard_destination_rules
        ),
    )


def _put(held: dict[str, V], patch: Mapping[str, V | None]) -> None:
    for key, value in patch.items():
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value
