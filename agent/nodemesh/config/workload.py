"""WorkloadEntry and WorkloadGroup as Istio's networking API defines them: workloads outside Kubernetes."""

from __future__ import annotations

from .base import Int32, Model, UInt32


class WorkloadEntrySpec(Model, frozen=True, kw_only=True):
    """A workload outside Kubernetes, or an endpoint of a ServiceEntry: an address, host name or unix:// socket.
    `ports` maps port names to numbers; `weight` is relative, 1 unless said; `locality` is region/zone/subzone."""

    address: str | None = None
    ports: dict[str, UInt32] = {}
    labels: dict[str, str] = {}
    network: str | None = None
    locality: str | None = None
    weight: UInt32 | None = None
    service_account: str | None = None


class WorkloadGroupSpec(Model, frozen=True, kw_only=True):
    """The template of workloads that register themselves."""

    metadata: GroupMeta | None = None
    template: WorkloadEntrySpec | None = None
    probe: ReadinessProbe | None = None


class GroupMeta(Model, frozen=True, kw_only=True):
    """Labels and annotations that the registered workloads get."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ReadinessProbe(Model, frozen=True, kw_only=True):
    """How a registered workload is asked for its health, as in a Pod; all times in seconds."""

    initial_delay_seconds: Int32 | None = None
    timeout_seconds: Int32 | None = None
    period_seconds: Int32 | None = None
    success_threshold: Int32 | None = None
    failure_threshold: Int32 | None = None
    http_get: HTTPHealthCheckConfig | None = None
    tcp_socket: TCPHealthCheckConfig | None = None
    exec: ExecHealthCheckConfig | None = None
    grpc: GrpcHealthCheckConfig | None = None


class HTTPHealthCheckConfig(Model, frozen=True, kw_only=True):
    """Healthy is a status of 200 to 399."""

    path: str | None = None
    port: UInt32 | None = None
    host: str | None = None
    scheme: str | None = None
    http_headers: tuple[HTTPHeader, ...] = ()


class GrpcHealthCheckConfig(Model, frozen=True, kw_only=True):
    """Healthy is SERVING by grpc.health.v1."""

    port: UInt32 | None = None
    service: str | None = None


class HTTPHeader(Model, frozen=True, kw_only=True):
    """A header of the probe's request."""

    name: str | None = None
    value: str | None = None


class TCPHealthCheckConfig(Model, frozen=True, kw_only=True):
    """Healthy is a connection that opens."""

    host: str | None = None
    port: UInt32 | None = None


class ExecHealthCheckConfig(Model, frozen=True, kw_only=True):
    """Healthy is an exit status of 0."""

    command: tuple[str, ...] = ()
