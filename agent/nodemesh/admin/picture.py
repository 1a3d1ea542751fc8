"""The mesh as it is drawn: services and clients with what goes between them, from the history and the snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import msgspec

from ..config.problems import Problem
from ..config.virtualservice import Destination
from ..registry.snapshot import Health, Service, Snapshot
from ..telemetry.histogram import BOUNDS
from ..telemetry.history import FlowCounts, Flows, Way
from ..telemetry.labels import UNKNOWN, workload_of
from .state import ModeRow

#: Services without traffic that are drawn beside those that have some.
IDLE_SHOWN = 300

#: Bits of an edge: rows of codes, and of versions.
CODES_SHOWN = 12
VERSIONS_SHOWN = 20

Mode = Callable[[Service, int], ModeRow]


class Wishes(msgspec.Struct, frozen=True):
    """The weights that a rule gives a service's versions, and where it stands."""

    weights: Mapping[str, float]  # share by version
    rule: str
    location: str


def quantile(counts: list[int], share: float) -> float | None:
    """Where `share` of all lies, in milliseconds: linear within its bucket, as Prometheus' histogram_quantile. None
    where nothing was counted."""
    total = sum(counts)
    if not total:
        return None
    wanted, seen = total * share, 0
    for index, count in enumerate(counts):
        if count and seen + count >= wanted:
            if index >= len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[index - 1] if index else 0.0
            return round(low + (BOUNDS[index] - low) * (wanted - seen) / count, 2)
        seen += count
    return BOUNDS[-1]


def service_id(namespace: str, name: str, host: str) -> str:
    """A service's node. What is in no namespace goes by its host."""
    return f"service/{namespace}/{name}" if namespace not in ("", UNKNOWN) else f"external/{host}"


def homes_of(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """By namespace and workload: the service that it stands behind. Who calls is drawn as that, so that chains of calls
    are chains in the picture."""
    homes: dict[tuple[str, str], str] = {}
    for host in sorted(snapshot.services):
        for service in snapshot.services[host]:
            for group in service.endpoints.values():
                for endpoint in group:
                    if endpoint.workload:
                        key = (endpoint.workload.partition("/")[0], workload_of(endpoint))
                        homes.setdefault(key, service_id(service.namespace, service.name, service.host))
    return homes


def source_id(way: Way, homes: Mapping[tuple[str, str], str]) -> str:
    """Who calls: a service's workload, or a client that is nobody's."""
    return homes.get((way.namespace, way.workload), f"workload/{way.namespace}/{way.workload}")


def wishes_of(snapshot: Snapshot) -> dict[str, Wishes]:
    """By host: the weights of the last rule that divides traffic among versions, which is the one without matches."""
    versions = versions_of(snapshot)
    found: dict[str, Wishes] = {}
    for item in snapshot.virtual_services.values():
        for index, route in enumerate(item.spec.http):
            weights: Counter[str] = Counter()
            hosts = set()
            for entry in route.route:
                if entry.destination is not None:
                    host, version = _place(entry.destination, item.meta.namespace, versions)
                    hosts.add(host)
                    weights[version or UNKNOWN] += entry.weight or 0
            total = sum(weights.values())
            if len(weights) > 1 and len(hosts) == 1 and total:
                shares = {version: weight / total for version, weight in weights.items()}
                place = str(item.locate("spec", "http", index))
                found[hosts.pop()] = Wishes(shares, f"{item.meta.key} spec.http[{index}]", place)
    return found


def mirrored(snapshot: Snapshot) -> set[tuple[str, str]]:
    """Versions of hosts that get copies of other versions' requests, and none of their own."""
    versions = versions_of(snapshot)
    copies, own = set(), set()
    for item in snapshot.virtual_services.values():
        for route in item.spec.http:
            routed = {_place(entry.destination, item.meta.namespace, versions) for entry in route.route}
            own |= routed
            hosts = {host for host, _ in routed}
            shadows = [
                *([route.mirror] if route.mirror is not None else []),
                *(each.destination for each in route.mirrors),
            ]
            found = (_place(shadow, item.meta.namespace, versions) for shadow in shadows)
            copies |= {place for place in found if place[0] in hosts and place[1]}
    return copies - own


def versions_of(snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """By host and subset: the version that the subset's labels name."""
    return {
        (full(rule.spec.host or "", rule.meta.namespace), subset.name or ""): subset.labels.get("version", "")
        for rule in snapshot.destination_rules.values()
        for subset in rule.spec.subsets
    }


def _place(to: Destination | None, namespace: str, versions: Mapping[tuple[str, str], str]) -> tuple[str, str]:
    """The host and the version that a rule names."""
    host = full(to.host or "", namespace) if to is not None else ""
    return host, versions.get((host, to.subset or ""), "") if to is not None else ""


def full(host: str, namespace: str) -> str:
    """A host as rules write it, without the cluster's domain."""
    parts = host.split(".")
    if len(parts) == 1:
        return f"{host}.{namespace}"
    return f"{parts[0]}.{parts[1]}" if len(parts) == 2 or parts[2] == "svc" else host


def draw(
    flows: Flows,
    seconds: float,
    snapshot: Snapshot,
    mode: Mode,
    ejected: Mapping[str, int],
    problems: Iterable[Problem],
    namespace: str = "",
    other_rules: Set[str] = frozenset(),
) -> dict[str, Any]:
    """Nodes and edges of that time. With a namespace, only what has an end in it. `other_rules` are the hosts for which
    the snapshot's rules did not hold then."""
    if namespace:
        flows = {way: flow for way, flow in flows.items() if namespace in (way.namespace, way.service_namespace)}
    homes, others = homes_of(snapshot), {full(host, "") for host in other_rules}
    wishes = {host: wish for host, wish in wishes_of(snapshot).items() if host not in others}
    copies = {place for place in mirrored(snapshot) if place[0] not in others}
    grouped: dict[tuple[str, str, str], list[tuple[Way, FlowCounts]]] = {}
    for way, flow in flows.items():
        source = source_id(way, homes)
        target = service_id(way.service_namespace, way.service, way.host)
        grouped.setdefault((source, target, way.protocol), []).append((way, flow))
    edges = [_edge(ends, parts, seconds, wishes, copies) for ends, parts in sorted(grouped.items())]
    return {"nodes": _nodes(flows, homes, snapshot, mode, ejected, problems, namespace), "edges": edges}


def _edge(
    ends: tuple[str, str, str],
    parts: list[tuple[Way, FlowCounts]],
    seconds: float,
    wishes: Mapping[str, Wishes],
    copies: set[tuple[str, str]],
) -> dict[str, Any]:
    """What a mirror gets is shown beside, and counts neither as the client's requests nor as its failures."""
    source, target, protocol = ends
    host = parts[0][0].host
    place = full(host, parts[0][0].service_namespace)
    wish = wishes.get(place)
    whole = FlowCounts()
    for way, flow in parts:
        if (place, way.version) not in copies:
            whole.add(flow)
    answering = [(way, flow, (place, way.version) in copies) for way, flow in parts if way.answered != UNKNOWN]
    answered = sum(flow.requests for _, flow, mirror in answering if not mirror)
    versions = [_version(way, flow, answered, wish, mirror=mirror) for way, flow, mirror in answering]
    versions.sort(key=lambda row: -row["requests"])
    return {
        "id": f"{source}>{target}>{protocol}",
        "source": source,
        "target": target,
        "clients": sorted({f"{way.namespace}/{way.workload}" for way, _ in parts})[:CODES_SHOWN],
        "host": host,
        "protocol": protocol,
        "requests": whole.requests,
        "errors": whole.errors,
        "rps": round(_rate(parts, seconds, place, copies), 3),
        "since_change": round(whole.seconds, 1) or None,
        "failing": round(whole.errors / whole.requests, 5) if whole.requests else 0.0,
        "p50_ms": quantile(whole.duration, 0.5),
        "p99_ms": quantile(whole.duration, 0.99),
        "sent": whole.sent,
        "received": whole.received,
        "codes": [
            {"code": code, "flags": flags, "requests": count}
            for (code, flags), count in whole.codes.most_common(CODES_SHOWN)
        ],
        "versions": versions[:VERSIONS_SHOWN],
        "wished_by": {"rule": wish.rule, "location": wish.location} if wish is not None else None,
    }


def _rate(parts: Iterable[tuple[Way, FlowCounts]], seconds: float, place: str, copies: set[tuple[str, str]]) -> float:
    """Each part's by its own time: for some of the callers it began with the newest rules."""
    return sum(flow.requests / (flow.seconds or seconds) for way, flow in parts if (place, way.version) not in copies)


def _version(way: Way, flow: FlowCounts, answered: int, wish: Wishes | None, *, mirror: bool) -> dict[str, Any]:
    """One workload's part of what was answered, beside the part that a rule wishes it to have; of a mirror, the part
    that was copied to it."""
    return {
        "workload": way.answered,
        "version": way.version,
        "requests": flow.requests,
        "errors": flow.errors,
        "share": round(flow.requests / answered, 4) if answered else 0.0,
        "wished": wish.weights.get(way.version, 0.0) if wish is not None and not mirror else None,
        "mirror": mirror,
    }


def _nodes(
    flows: Flows,
    homes: Mapping[tuple[str, str], str],
    snapshot: Snapshot,
    mode: Mode,
    ejected: Mapping[str, int],
    problems: Iterable[Problem],
    namespace: str,
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    faults = Counter((problem.namespace, problem.name) for problem in problems)
    busy = {way.host for way in flows}
    calling = {source_id(way, homes) for way in flows}
    services = [service for each in snapshot.services.values() for service in each]
    idle = 0
    for service in services:
        if service.host not in busy and service_id(service.namespace, service.name, service.host) not in calling:
            idle += 1
            if idle > IDLE_SHOWN or (namespace and service.namespace != namespace):
                continue
        node = _service(service, mode, ejected, faults)
        found[node["id"]] = node
    gateways = {
        workload.owner or workload.name for workload in snapshot.workloads.values() if "istio" in workload.labels
    }
    for way in flows:
        source = source_id(way, homes)
        kind = "gateway" if way.workload in gateways else "workload"
        found.setdefault(source, {"id": source, "kind": kind, "namespace": way.namespace, "name": way.workload})
        target = service_id(way.service_namespace, way.service, way.host)
        external = {"id": target, "kind": "external", "namespace": "", "name": way.host, "host": way.host}
        found.setdefault(target, external)
    return sorted(found.values(), key=lambda node: str(node["id"]))


def _service(service: Service, mode: Mode, ejected: Mapping[str, int], faults: Mapping[tuple[str, str], int]) -> Any:
    ports = [(port, mode(service, port.number)) for port in service.ports]
    endpoints = {(end.address, end.health) for group in service.endpoints.values() for end in group}
    versions = Counter(end.labels.get("version", "") for group in list(service.endpoints.values())[:1] for end in group)
    return {
        "id": service_id(service.namespace, service.name, service.host),
        "kind": "external" if service.external else "service",
        "namespace": service.namespace,
        "name": service.name,
        "host": service.host,
        "modes": [
            {"port": port.number, "protocol": port.protocol.value, "mode": row.mode, "why": row.mode_reason}
            for port, row in ports
        ],
        "versions": sorted(version for version in versions if version),
        "endpoints": {
            "ready": sum(health is Health.READY for _, health in endpoints),
            "total": len(endpoints),
            "ejected": ejected.get(service.host, 0),
        },
        "problems": faults.get((service.namespace, service.name), 0),
        "location": str(service.location),
    }
