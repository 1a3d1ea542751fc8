"""Telemetry that does not do what it seems to: providers that nobody has, and objects that an older one hides."""

from __future__ import annotations

from collections.abc import Iterator

from ...config.meta import Object, Path
from ...config.providers import ENVOY
from ...config.telemetry import ProviderRef, TelemetrySpec
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    mesh = findings.snapshot.mesh
    providers = mesh.extension_providers
    logs = {ENVOY, *(each.name or "" for each in providers if each.envoy_file_access_log is not None)}
    collectors = {each.name or "" for each in providers if each.opentelemetry is not None}
    for item in findings.snapshot.telemetries.values():
        for kind, known, path, provider in _named(item):
            names = logs if known == "logs" else collectors
            if provider.name not in names:
                there = ", ".join(sorted(names)) or "none"
                message = f"MeshConfig's extensionProviders have no `{provider.name}` for {kind}; there is {there}"
                findings.warn("no-provider", item, path, message)
        if item.spec.tracing and not mesh.default_providers.tracing and not _names_collector(item.spec):
            message = "nothing is traced: neither this nor MeshConfig's defaultProviders name a provider for traces"
            findings.warn("no-provider", item, ("spec", "tracing"), message)
    check_scopes(findings)


def _named(item: Object[TelemetrySpec]) -> Iterator[tuple[str, str, Path, ProviderRef]]:
    for index, entry in enumerate(item.spec.access_logging):
        for number, provider in enumerate(entry.providers):
            yield "access logs", "logs", ("spec", "accessLogging", index, "providers", number, "name"), provider
    for index, tracing in enumerate(item.spec.tracing):
        for number, provider in enumerate(tracing.providers):
            yield "traces", "traces", ("spec", "tracing", index, "providers", number, "name"), provider


def _names_collector(spec: TelemetrySpec) -> bool:
    return any(tracing.providers for tracing in spec.tracing)


def check_scopes(findings: LintFindings) -> None:
    """Of several objects for all workloads of a namespace the oldest alone counts."""
    first: dict[str, str] = {}
    for telemetry in findings.tables.telemetries:
        spec = telemetry.spec
        if telemetry.selector or spec.target_refs or spec.target_ref is not None:
            continue
        older = first.setdefault(telemetry.namespace, telemetry.key)
        if older != telemetry.key:
            message = f"Telemetry {older} is for all workloads of the namespace too; it is older, and counts alone"
            findings.warn("telemetry-ignored", findings.snapshot.telemetries[telemetry.key], ("spec",), message)
