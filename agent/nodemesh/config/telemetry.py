"""Telemetry as Istio's telemetry API defines it: what is logged, counted and traced of which workloads."""

from __future__ import annotations

from enum import StrEnum

from .base import Duration, Model, WorkloadSelector


class TelemetrySpec(Model, frozen=True, kw_only=True):
    """Settings of the selected workloads of a namespace (all without a selector; all namespaces from the root)."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[TelemetryMetrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()


class PolicyTargetReference(Model, frozen=True, kw_only=True):
    """What the settings are about in a selector's stead: a Gateway of the Kubernetes Gateway API, by its name."""

    group: str | None = None
    kind: str | None = None
    name: str | None = None
    namespace: str | None = None


class WorkloadMode(StrEnum):
    """The workload as the source of traffic, as its destination, or both."""

    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


class ProviderRef(Model, frozen=True, kw_only=True):
    """A provider of MeshConfig's extensionProviders, or a built-in one."""

    name: str | None = None


class TracingSelector(Model, frozen=True, kw_only=True):
    mode: WorkloadMode | None = None


class Tracing(Model, frozen=True, kw_only=True):
    """How requests are traced; what is left out comes from the wider scope."""

    match: TracingSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: float | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] = {}
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None
    disable_context_propagation: bool | None = None


class CustomTag(Model, frozen=True, kw_only=True):
    """One tag of each span: exactly one of these."""

    literal: Literal | None = None
    environment: Environment | None = None
    header: RequestHeader | None = None
    formatter: Formatter | None = None


class Literal(Model, frozen=True, kw_only=True):
    value: str | None = None


class Environment(Model, frozen=True, kw_only=True):
    """A variable of the agent's environment, where MeshConfig's allowedEnvironment has it."""

    name: str | None = None
    default_value: str | None = None


class RequestHeader(Model, frozen=True, kw_only=True):
    name: str | None = None
    default_value: str | None = None


class Formatter(Model, frozen=True, kw_only=True):
    """Envoy's command operators."""

    value: str | None = None


class TelemetryMetrics(Model, frozen=True, kw_only=True):
    """Overrides of Istio's metrics, applied in order, on top of those of the wider scopes."""

    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverrides, ...] = ()
    reporting_interval: Duration | None = None


class MetricsOverrides(Model, frozen=True, kw_only=True):
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = {}


class IstioMetric(StrEnum):
    """Istio's standard metrics."""

    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


class MetricSelector(Model, frozen=True, kw_only=True):
    metric: IstioMetric | None = None
    custom_metric: str | None = None
    mode: WorkloadMode | None = None


class TagOperation(StrEnum):
    """What becomes of a label."""

    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


class TagOverride(Model, frozen=True, kw_only=True):
    """A label that is left out, or gets the value of an expression."""

    operation: TagOperation | None = None
    value: str | None = None


class LogSelector(Model, frozen=True, kw_only=True):
    mode: WorkloadMode | None = None


class LogFilter(Model, frozen=True, kw_only=True):
    """Only what this expression is true of is logged."""

    expression: str | None = None


class AccessLogging(Model, frozen=True, kw_only=True):
    match: LogSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None
