"""Providers of MeshConfig, which Telemetry refers to by name: files of access logs, and collectors of traces."""

from __future__ import annotations

import msgspec

from .base import Duration, Model

#: Istio's built-in provider of access logs, which is what `accessLogFile` says.
ENVOY = "envoy"

#: And of metrics, which is the agent's own page.
PROMETHEUS = "prometheus"


class LogFormat(Model, frozen=True, kw_only=True):
    """A text of command operators, or a JSON object's members."""

    text: str | None = None
    labels: dict[str, str] = {}

    @property
    def as_json(self) -> str:
        """The labels in `accessLogFormat`'s form for JSON."""
        return msgspec.json.encode(self.labels).decode()


class EnvoyFileAccessLog(Model, frozen=True, kw_only=True):
    """A log in a file; without a format it has Istio's default one."""

    path: str | None = None
    log_format: LogFormat | None = None


class HttpHeader(Model, frozen=True, kw_only=True):
    """A field of each request to a collector, with its value or the agent's environment variable that has it."""

    name: str | None = None
    value: str | None = None
    env_name: str | None = None


class HttpService(Model, frozen=True, kw_only=True):
    """OTLP over HTTP: where on the service, and how long an export may take."""

    path: str | None = None
    timeout: Duration | None = None
    headers: tuple[HttpHeader, ...] = ()


class OpenTelemetryTracing(Model, frozen=True, kw_only=True):
    """A collector of traces that takes OTLP over HTTP."""

    service: str | None = None
    port: int | None = None
    max_tag_length: int | None = None
    http: HttpService | None = None


class PrometheusProvider(Model, frozen=True, kw_only=True):
    """The agent's metrics page."""


class ExtensionProvider(Model, frozen=True, kw_only=True):
    """One provider: its name and exactly one of the others."""

    name: str | None = None
    envoy_file_access_log: EnvoyFileAccessLog | None = None
    opentelemetry: OpenTelemetryTracing | None = None
    prometheus: PrometheusProvider | None = None


class DefaultProviders(Model, frozen=True, kw_only=True):
    """The providers of Telemetry that names none."""

    access_logging: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tracing: tuple[str, ...] = ()
