"""What is logged, counted and traced of a workload: the Telemetry objects about it, merged as in Istio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ..config.meshconfig import MeshConfigSpec
from ..config.providers import ENVOY, PROMETHEUS
from ..config.telemetry import (
    CustomTag,
    IstioMetric,
    MetricsOverrides,
    ProviderRef,
    TagOperation,
    TelemetryMetrics,
    Tracing,
    WorkloadMode,
)
from ..registry.services import selects
from .tables import Tables, TelemetryEntry

#: Names a pod's Gateway of the Kubernetes Gateway API.
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"

#: Percentage of requests that are traced where nobody says (istiod's PILOT_TRACE_SAMPLING).
SAMPLING = 1.0


class LogRule(msgspec.Struct, frozen=True):
    """Where requests are logged, and which; an empty filter is true of all."""

    provider: str
    filter: str = ""


class MetricRule(msgspec.Struct, frozen=True, kw_only=True):
    """One override: of which metrics (none: all), of which reporters' series. `set` pairs labels with expressions."""

    metrics: tuple[IstioMetric, ...] = ()
    client: bool = True
    server: bool = True
    disabled: bool | None = None
    removed: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()


class TraceTag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag of every span: a literal, or what a field or an environment variable says, `value` where it does not."""

    name: str
    value: str = ""
    header: str = ""
    environment: str = ""


class TraceRule(msgspec.Struct, frozen=True, kw_only=True):
    """How requests are traced. `sampling` is the share of those that come without a decision. Without `report` no span
    is exported, without `propagate` no header is written."""

    provider: str = ""
    sampling: float = SAMPLING / 100.0
    report: bool = True
    propagate: bool = True
    istio_tags: bool = True
    tags: tuple[TraceTag, ...] = ()


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes known of one workload's traffic. Without `logs` it is logged as the mesh says."""

    logs: tuple[LogRule, ...] | None = None
    metrics: tuple[MetricRule, ...] = ()
    tracing: TraceRule | None = None


NOTHING_SAID = Observation()


def observes(tables: Tables) -> bool:
    """Whether anything is said beyond the mesh's own access log."""
    mesh = tables.mesh
    return bool(tables.telemetries or mesh.enable_tracing or mesh.default_providers.access_logging)


class Scopes:
    """The Telemetry objects by where they count, the oldest first: nobody goes through those of other namespaces."""

    __slots__ = ("_general", "_own")

    def __init__(self, telemetries: Iterable[TelemetryEntry]) -> None:
        self._general: dict[str, TelemetryEntry] = {}  # for the whole namespace
        self._own: dict[str, list[TelemetryEntry]] = {}  # for some workloads of it
        for each in telemetries:
            if _is_general(each):
                self._general.setdefault(each.namespace, each)
            else:
                self._own.setdefault(each.namespace, []).append(each)

    def about(self, root: str, namespace: str, labels: Mapping[str, str]) -> Iterator[TelemetryEntry]:
        """Those about a workload, from the widest scope to its own; the oldest of each counts."""
        for scope in dict.fromkeys((root, namespace)):
            if scope in self._general:
                yield self._general[scope]
        own = next((each for each in self._own.get(namespace, ()) if _is_about(each, labels)), None)
        if own is not None:
            yield own


def observation_of(
    tables: Tables, namespace: str, labels: Mapping[str, str], scopes: Scopes | None = None
) -> Observation:
    """Of a workload; `scopes` are those of the tables, for who asks often."""
    scopes = scopes or Scopes(tables.telemetries)
    about = list(scopes.about(tables.mesh.root_namespace, namespace, labels))
    return Observation(
        logs=_logs(about, tables.mesh), metrics=tuple(_metrics(about)), tracing=_tracing(about, tables.mesh)
    )


def _is_general(telemetry: TelemetryEntry) -> bool:
    return not telemetry.selector and not telemetry.spec.target_refs and telemetry.spec.target_ref is None


def _is_about(telemetry: TelemetryEntry, labels: Mapping[str, str]) -> bool:
    if telemetry.selector:
        return selects(telemetry.selector, labels)
    spec = telemetry.spec
    targets = (*spec.target_refs, *((spec.target_ref,) if spec.target_ref is not None else ()))
    return any(target.kind == "Gateway" and target.name == labels.get(GATEWAY_NAME) for target in targets)


def _named(providers: tuple[ProviderRef, ...]) -> tuple[str, ...]:
    return tuple(provider.name for provider in providers if provider.name)


def _logs(about: list[TelemetryEntry], mesh: MeshConfigSpec) -> tuple[LogRule, ...] | None:
    """For each provider the last word about it; what names none is about those of the scope before."""
    default = mesh.default_providers.access_logging or (ENVOY,)
    chosen = default
    found: dict[str, LogRule | None] = {}
    said = False
    for telemetry in about:
        names: dict[str, None] = {}
        for entry in telemetry.spec.access_logging:
            if entry.match is not None and entry.match.mode is WorkloadMode.SERVER:
                continue
            said = True
            providers = _named(entry.providers) or chosen
            names.update(dict.fromkeys(providers))
            rule = LogRule("", (entry.filter.expression or "") if entry.filter is not None else "")
            for name in providers:
                found[name] = None if entry.disabled else msgspec.structs.replace(rule, provider=name)
        chosen = tuple(names) or chosen
    if not said:
        return tuple(map(LogRule, default)) if mesh.default_providers.access_logging else None
    chosen_rules = [found.get(name) for name in chosen]
    return tuple(rule for rule in chosen_rules if rule is not None)


def _metrics(about: list[TelemetryEntry]) -> Iterator[MetricRule]:
    for telemetry in about:
        for metrics in telemetry.spec.metrics:
            if _is_ours(metrics):
                for override in metrics.overrides:
                    if override.match is None or override.match.custom_metric is None:
                        yield _metric_rule(override)


def _is_ours(metrics: TelemetryMetrics) -> bool:
    return not metrics.providers or PROMETHEUS in _named(metrics.providers)


def _metric_rule(override: MetricsOverrides) -> MetricRule:
    match = override.match
    metric = match.metric if match is not None else None
    mode = (match.mode if match is not None else None) or WorkloadMode.CLIENT_AND_SERVER
    tags = override.tag_overrides.items()
    return MetricRule(
        metrics=() if metric in (None, IstioMetric.ALL_METRICS) else (metric,),
        client=mode is not WorkloadMode.SERVER,
        server=mode is not WorkloadMode.CLIENT,
        disabled=override.disabled,
        removed=tuple(name for name, tag in tags if tag.operation is TagOperation.REMOVE),
        set=tuple((name, tag.value or "") for name, tag in tags if tag.operation is not TagOperation.REMOVE),
    )


def _tracing(about: list[TelemetryEntry], mesh: MeshConfigSpec) -> TraceRule | None:
    """The fields that the nearest scope says, the others of the wider ones."""
    entries = [
        entry
        for telemetry in about
        for entry in telemetry.spec.tracing
        if entry.match is None or entry.match.mode is not WorkloadMode.SERVER
    ]
    if not entries and not mesh.enable_tracing:
        return None
    named = [_named(entry.providers) for entry in entries if entry.providers] or [mesh.default_providers.tracing]
    provider = named[-1][0] if named[-1] else ""
    if not any(known.name == provider and known.opentelemetry is not None for known in mesh.extension_providers):
        return None
    sampling = _last([entry.random_sampling_percentage for entry in entries], _mesh_sampling(mesh))
    tags = next((entry.custom_tags for entry in reversed(entries) if entry.custom_tags), {})
    return TraceRule(
        provider=provider,
        sampling=sampling / 100.0,
        report=not _said(entries, "disable_span_reporting", False),
        propagate=not _said(entries, "disable_context_propagation", False),
        istio_tags=_said(entries, "enable_istio_tags", True),
        tags=tuple(_tag(name, tag) for name, tag in tags.items() if tag.literal or tag.header or tag.environment),
    )


def _last(values: list[float | None], default: float) -> float:
    return next((value for value in reversed(values) if value is not None), default)


def _said(entries: list[Tracing], field: str, default: bool) -> bool:
    said = [getattr(entry, field) for entry in entries]
    return next((bool(value) for value in reversed(said) if value is not None), default)


def _mesh_sampling(mesh: MeshConfigSpec) -> float:
    config = mesh.default_config
    said = config.tracing.sampling if config is not None and config.tracing is not None else None
    return SAMPLING if said is None else said


def _tag(name: str, tag: CustomTag) -> TraceTag:
    if tag.header is not None:
        return TraceTag(name=name, value=tag.header.default_value or "", header=(tag.header.name or "").lower())
    if tag.environment is not None:
        return TraceTag(name=name, value=tag.environment.default_value or "", environment=tag.environment.name or "")
    return TraceTag(name=name, value=(tag.literal.value or "") if tag.literal is not None else "")
