"""Which hosts a change can reach, so that a large mesh is not asked as a whole about one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...registry.snapshot import Service
from ..names import covers
from ..tables import DestinationRule, Tables, VirtualService
from .spots import USUAL_PORTS


def hosts_to_ask(old: Tables, new: Tables) -> dict[str, set[int]]:
    """The hosts that may be answered otherwise, with their ports."""
    changed = None if reaches_all(old, new) else changed_hosts(old, new)
    found: dict[str, set[int]] = {}
    for tables in (old, new):
        ports = {port for rules in tables.virtual_services.values() for port in ports_of(rules)} or set(USUAL_PORTS)
        for host, services in tables.services.items():
            if changed is None or reached(host, changed):
                numbers = {port.number for service in services for port in service.ports}
                found.setdefault(host, set()).update(numbers)
        for host in tables.virtual_hosts:
            if host not in tables.services and (changed is None or reached(host, changed)):
                name = f"other{host[1:]}" if host.startswith("*.") else host
                if name != "*":
                    found.setdefault(name, set()).update(ports)
    return dict(sorted(found.items()))


def reached(host: str, changed: Iterable[str]) -> bool:
    return any(covers(pattern, host) or covers(host, pattern) for pattern in changed)


def reaches_all(old: Tables, new: Tables) -> bool:
    """Whether something has changed that any host may depend on."""
    bare_sidecars = [[(each.key, each.selector, each.spec) for each in tables.sidecars] for tables in (old, new)]
    return (
        old.mesh != new.mesh
        or bare_sidecars[0] != bare_sidecars[1]
        or old.routes != new.routes
        or old.mesh_routes != new.mesh_routes
        or old.backend_tls != new.backend_tls
        or old.backend_traffic != new.backend_traffic
    )


def changed_hosts(old: Tables, new: Tables) -> set[str]:
    """Hosts of rules and services that differ, and of those whose rules lead to such."""
    found = differing(old.services, new.services, lambda services: [bare_service(each) for each in services])
    found |= differing(old.destination_rules, new.destination_rules, lambda rules: [bare_rule(each) for each in rules])
    leading: set[str] = set()
    for key in {*old.virtual_services, *new.virtual_services}:
        before, after = old.virtual_services.get(key), new.virtual_services.get(key)
        sides = [each for each in (before, after) if each is not None]
        if before is None or after is None or bare(before) != bare(after):
            leading |= {host for each in sides for host in each.hosts}
        elif found and any(reached(host, found) for host in targets(sides[0])):
            leading |= set(sides[0].hosts)
    return found | leading


def differing(old: Mapping[str, Any], new: Mapping[str, Any], bare_of: Any) -> set[str]:
    return {
        key
        for key in {*old, *new}
        if (key in old) != (key in new) or (old[key] is not new[key] and bare_of(old[key]) != bare_of(new[key]))
    }


def bare(rules: VirtualService) -> tuple[Any, ...]:
    """A VirtualService without where it was written."""
    routes = tuple(rule.route for rule in rules.rules)
    return (rules.hosts, rules.gateways, rules.export_to, rules.created, len(rules.http), len(rules.tls), routes)


def bare_rule(rule: DestinationRule) -> tuple[Any, ...]:
    return (rule.namespace, rule.export_to, rule.policy, rule.subsets, rule.selector)


def bare_service(service: Service) -> tuple[Any, ...]:
    return (
        service.ports, service.resolution, service.external, service.kind, service.namespace, service.export_to,
        service.alias_of, service.annotations, service.subject_alt_names, service.traffic_distribution,
    )  # fmt: skip


def targets(rules: VirtualService) -> set[str]:
    """The hosts that a VirtualService's rules lead to."""
    found = set()
    for rule in rules.http:
        route = rule.route
        found |= {each.destination.host or "" for each in route.route if each.destination is not None}
        found |= {each.destination.host or "" for each in route.mirrors if each.destination is not None}
        if route.mirror is not None:
            found.add(route.mirror.host or "")
    for connection in rules.connections:
        found |= {each.destination.host or "" for each in connection.route.route if each.destination is not None}
    return found


def ports_of(rules: VirtualService) -> set[int]:
    """The ports that rules ask for."""
    return {match.port for rule in rules.rules for match in rule.route.match if match.port}
