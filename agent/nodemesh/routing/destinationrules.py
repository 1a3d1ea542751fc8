"""DestinationRules of one host merged as Istio merges them: per namespace, the oldest one's policy, all subsets."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from ..config.destinationrule import DestinationRuleSpec, Subset
from ..config.meshconfig import MeshConfigSpec
from ..config.meta import Object
from ..registry.services import resolve_export_to
from .names import resolve_host
from .tables import DestinationRule


def rule_host(item: Object[DestinationRuleSpec], mesh: MeshConfigSpec) -> str:
    return resolve_host(item.spec.host or "", item.meta.namespace, mesh.cluster_domain)


def merge_destination_rules(
    items: Iterable[Object[DestinationRuleSpec]], mesh: MeshConfigSpec
) -> tuple[DestinationRule, ...]:
    """Rules with a workloadSelector come first and stay alone; of the others, a later rule joins an older one of its
    namespace where it is exported to the same namespaces."""
    merged: list[DestinationRule] = []
    for item in sorted(items, key=lambda item: (not is_selective(item), item.meta.created, item.meta.key)):
        rule = destination_rule_of(item, mesh)
        for position, older in enumerate(merged):
            if (
                older.namespace == rule.namespace
                and dict(older.selector) == dict(rule.selector)
                and older.export_to == rule.export_to
            ):
                merged[position] = join(older, rule)
                break
        else:
            merged.append(rule)
    return tuple(merged)


def is_selective(item: Object[DestinationRuleSpec]) -> bool:
    selector = item.spec.workload_selector
    return selector is not None and bool(selector.match_labels or selector.labels)


def destination_rule_of(item: Object[DestinationRuleSpec], mesh: MeshConfigSpec) -> DestinationRule:
    spec, meta = item.spec, item.meta
    selector = spec.workload_selector
    return DestinationRule(
        key=meta.key,
        namespace=meta.namespace,
        host=rule_host(item, mesh),
        export_to=resolve_export_to(spec.export_to, meta.namespace, mesh.default_destination_rule_export_to),
        policy=spec.traffic_policy,
        subsets=unique_subsets(spec.subsets),
        selector=(selector.match_labels or selector.labels) if selector is not None else {},
        sources=((meta.key, item.location),),
        location=item.location,
    )


def join(older: DestinationRule, newer: DestinationRule) -> DestinationRule:
    """The first definition of a subset wins; the newer policy counts only where the older rule has none."""
    return replace(
        older,
        policy=older.policy if older.policy is not None else newer.policy,
        subsets=unique_subsets((*older.subsets, *newer.subsets)),
        sources=(*older.sources, *newer.sources),
    )


def unique_subsets(subsets: Iterable[Subset]) -> tuple[Subset, ...]:
    found: dict[str, Subset] = {}
    for subset in subsets:
        found.setdefault(subset.name or "", subset)
    return tuple(found.values())
