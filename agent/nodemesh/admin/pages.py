"""Snapshot as the rows that the API shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..config.meta import Object
from ..config.problems import Problem
from ..config.virtualservice import HTTPRoute, VirtualServiceSpec
from ..config.written import as_written
from ..registry.snapshot import Health, Service, Snapshot
from ..routing.gatewayapi.attach import routes_of
from .state import EndpointRow, ModeRow
from .words import action_words, match_words

Mode = Callable[[Service, int], ModeRow]


def services(snapshot: Snapshot, mode: Mode) -> list[dict[str, Any]]:
    """/services."""
    return [_service(service, mode) for host in sorted(snapshot.services) for service in snapshot.services[host]]


def _service(service: Service, mode: Mode) -> dict[str, Any]:
    ports = []
    for port in service.ports:
        endpoints = service.endpoints.get(port.number, ())
        row = mode(service, port.number)
        ports.append(
            {
                "port": port.number,
                "name": port.name,
                "protocol": port.protocol.value,
                "endpoints": len(endpoints),
                "ready": sum(endpoint.health is Health.READY for endpoint in endpoints),
                "mode": row.mode,
                "mode_reason": row.mode_reason,
                "upstream_http": row.upstream_http,
                "http_reason": row.http_reason,
                "http_rules_bypassed": row.http_rules_bypassed,
                "kernel_endpoints": row.kernel_endpoints,
            }
        )
    return {
        "host": service.host,
        "namespace": service.namespace,
        "kind": service.kind,
        "addresses": list(service.addresses),
        "allocated": list(service.allocated),
        "resolution": service.resolution.value,
        "external": service.external,
        "ports": ports,
        "location": str(service.location),
    }


def endpoints(snapshot: Snapshot, states: Mapping[tuple[str, int], EndpointRow]) -> list[dict[str, Any]]:
    """/endpoints. `ejected_for` is null where outlier detection has not ejected it, `in_flight` where none counts."""
    return [
        {
            "service": service.host,
            "port": port,
            "address": endpoint.address,
            "target_port": endpoint.port,
            "health": endpoint.health.value,
            "workload": endpoint.workload,
            "node": endpoint.node,
            "locality": str(endpoint.locality),
            "cluster": endpoint.cluster,
            "network": endpoint.network,
            "weight": endpoint.weight,
            "labels": dict(endpoint.labels),
            **state_of(states.get((endpoint.address, endpoint.port))),
        }
        for host in sorted(snapshot.services)
        for service in snapshot.services[host]
        for port in sorted(service.endpoints)
        for endpoint in service.endpoints[port]
    ]


def state_of(row: EndpointRow | None) -> dict[str, Any]:
    """What the data plane knows of an endpoint under a policy."""
    ejected = row.ejected_for if row is not None and row.ejected_for >= 0.0 else None
    return {"in_flight": row.in_flight if row is not None else None, "ejected_for": ejected}


def routes(snapshot: Snapshot) -> list[dict[str, Any]]:
    """/routes: every rule of every VirtualService in the order in which it is tried, then those of the Gateway API's
    routes as they are written (which are tried by how specific their matches are)."""
    rows = [row for key in sorted(snapshot.virtual_services) for row in _rules(key, snapshot.virtual_services[key])]
    for item in sorted(routes_of(snapshot), key=lambda entry: (entry.kind, entry.meta.key)):
        rows += _route_rules(item)
    return rows


def _route_rules(written: Object[Any]) -> Iterator[dict[str, Any]]:
    spec = written.spec
    for index, rule in enumerate(spec.rules):
        fields = as_written(rule)
        yield {
            "virtual_service": "",
            "route": f"{written.kind} {written.meta.key}",
            "hosts": list(getattr(spec, "hostnames", ())),
            "gateways": [
                f"{ref.kind} {ref.namespace or written.meta.namespace}/{ref.name}" for ref in spec.parent_refs
            ],
            "protocol": written.kind.removesuffix("Route").lower(),
            "rule": f"spec.rules[{index}]",
            "name": rule.name or "",
            **_in_words(
                [as_written(match) for match in getattr(rule, "matches", ())],
                {name: value for name, value in fields.items() if name not in ("name", "matches")},
            ),
            "location": str(written.locate("spec", "rules", index)),
        }


def _rules(key: str, written: Object[VirtualServiceSpec]) -> Iterator[dict[str, Any]]:
    spec = written.spec
    for protocol in ("http", "tls", "tcp"):
        for index, rule in enumerate(getattr(spec, protocol)):
            yield {
                "virtual_service": key,
                "route": "",
                "hosts": list(spec.hosts),
                "gateways": list(spec.gateways),
                "protocol": protocol,
                "rule": f"spec.{protocol}[{index}]",
                "name": getattr(rule, "name", "") or "",
                **_in_words([as_written(match) for match in rule.match], _action(rule)),
                "location": str(written.locate("spec", protocol, index)),
            }


def _in_words(match: list[dict[str, Any]], action: dict[str, Any]) -> dict[str, Any]:
    """Both as they are written, and said."""
    return {"match": match, "action": action, "when": match_words(match), "does": action_words(action)}


def _action(rule: Any) -> dict[str, Any]:
    """What a rule does: all that is set beside its name and matches."""
    fields = as_written(rule)
    if not isinstance(rule, HTTPRoute):
        return {"route": fields.get("route", [])}
    return {name: value for name, value in fields.items() if name not in ("name", "match")}


def problems(found: Sequence[Problem]) -> list[dict[str, Any]]:
    """/config/problems."""
    return [
        {
            "severity": problem.severity.value,
            "refused": problem.refused,
            "code": problem.code,
            "message": problem.message,
            "file": problem.location.file,
            "line": problem.location.line,
            "column": problem.location.column,
            "kind": problem.kind,
            "group": problem.group,
            "namespace": problem.namespace,
            "name": problem.name,
            "path": problem.path,
        }
        for problem in found
    ]
