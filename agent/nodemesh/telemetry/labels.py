"""The labels of Istio's standard metrics (istio.io/docs/reference/config/metrics), made from a request's record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..reasons import TEXTS, Reason
from ..registry.snapshot import Endpoint, Service
from ..routing.client import Client
from ..routing.decision import Cluster
from .memo import Memo
from .record import ConnectionRecord, RequestRecord

UNKNOWN: Final = "unknown"

#: Istio's name of the one cluster of a mesh that names none.
DEFAULT_CLUSTER: Final = "Kubernetes"

#: Clusters that stand for no service: the metrics name the cluster itself and the host that was asked for.
ANONYMOUS_CLUSTERS: Final = frozenset({"PassthroughCluster", "AllowAnyDynamicDNSCluster", "BlackHoleCluster"})

_COMMON: Final = (
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_cluster",
    "request_protocol",
    "response_flags",
    "connection_security_policy",
)
HTTP_LABELS: Final = (*_COMMON, "response_code", "grpc_response_status")
TCP_LABELS: Final = _COMMON

#: Messages are counted while their call goes on, and how it ends is not known: as in Istio, both ends alone name them.
MESSAGE_LABELS: Final = _COMMON[: _COMMON.index("request_protocol")]


def workload_of_pod(name: str, labels: Mapping[str, str]) -> str:
    """The Deployment's name behind a pod's, as Kubernetes composes it: `<deployment>-<pod-template-hash>-<suffix>`."""
    template = labels.get("pod-template-hash", "")
    if template:
        stem, found, _ = name.rpartition(f"-{template}-")
        if found:
            return stem
    return name


def peer_of(workload: str, labels: Mapping[str, str]) -> tuple[str, str, str, str]:
    """(app, version, canonical service, canonical revision) as Istio derives them from a workload's labels."""
    app = labels.get("app", "")
    version = labels.get("version", "")
    service = labels.get("service.istio.io/canonical-name") or labels.get("app.kubernetes.io/name") or app or workload
    revision = (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or version
        or "latest"
    )
    return app or UNKNOWN, version or UNKNOWN, service or UNKNOWN, revision


def source_workload(client: Client) -> str:
    """The client's Deployment, StatefulSet …"""
    return client.owner or workload_of_pod(client.name, client.labels) or UNKNOWN


def workload_of(endpoint: Endpoint) -> str:
    """An endpoint's Deployment, StatefulSet …, empty where none is known."""
    return endpoint.owner or workload_of_pod(endpoint.workload.partition("/")[2], endpoint.labels)


def _source(client: Client) -> tuple[str, ...]:
    workload = source_workload(client)
    app, version, service, revision = peer_of(workload, client.labels)
    return (
        workload,
        service,
        revision,
        client.namespace or UNKNOWN,
        UNKNOWN,  # principal: known under mutual TLS only
        app,
        version,
        client.cluster or DEFAULT_CLUSTER,
    )


def endpoint_of(cluster: Cluster, upstream_host: str) -> Endpoint | None:
    """The endpoint behind `address:port` (IPv6 in brackets), None where the cluster does not list it."""
    address, _, port = upstream_host.rpartition(":")
    address = address.strip("[]")
    for endpoint in cluster.all_endpoints:
        if endpoint.address == address and str(endpoint.port) == port:
            return endpoint
    return None


def _destination(cluster: Cluster | None, upstream_host: str, host: str, dialled: Service | None) -> tuple[str, ...]:
    """`dialled` is what a request without a cluster counts under: the proxy answered in that service's stead."""
    if cluster is None or cluster.name in ANONYMOUS_CLUSTERS:
        if cluster is not None:
            service = (host or UNKNOWN, cluster.name, UNKNOWN)
        elif dialled is not None:
            service = (dialled.host, dialled.name, dialled.namespace or UNKNOWN)
        else:
            service = (host or UNKNOWN, host or UNKNOWN, UNKNOWN)
        return (*(UNKNOWN,) * 5, *service, *(UNKNOWN,) * 3)
    endpoint = endpoint_of(cluster, upstream_host)
    namespace = endpoint.workload.partition("/")[0] if endpoint is not None else ""
    labels: Mapping[str, str] = endpoint.labels if endpoint is not None else {}
    workload = workload_of(endpoint) if endpoint is not None else ""
    app, version, service_name, revision = peer_of(workload, labels) if endpoint is not None else (UNKNOWN,) * 4
    return (
        workload or UNKNOWN,
        namespace or UNKNOWN,
        UNKNOWN,  # principal
        app,
        version,
        cluster.host,
        cluster.service or cluster.host,
        cluster.namespace or UNKNOWN,
        service_name,
        revision,
        (endpoint.cluster or DEFAULT_CLUSTER) if endpoint is not None else UNKNOWN,
    )


class Flags(Memo[tuple[Reason, ...], str]):
    """Envoy's response flags of some reasons, comma separated, each once, in the order in which they came about."""

    def make(self, key: tuple[Reason, ...]) -> str:
        return ",".join(dict.fromkeys(flag for reason in key if (flag := TEXTS[reason].flag) != "-"))


FLAGS: Final = Flags()


def flags_of(record: ConnectionRecord) -> str:
    """A record's response flags, `-` where there is none."""
    return FLAGS[record.reasons] or "-"


def common_labels(record: ConnectionRecord, host: str, protocol: str) -> tuple[str, ...]:
    """The labels of `TCP_LABELS`. `host` is the request's, used where no service of the registry answers for it."""
    return (
        "source",
        *_source(record.client),
        *_destination(record.cluster, record.upstream_host, host, record.service),
        protocol,
        flags_of(record),
        UNKNOWN,  # the client's side does not know how the server's side secured it (Istio's source reporter)
    )


def message_labels(record: RequestRecord, host: str) -> tuple[str, ...]:
    """The labels under which a call's messages are counted, as long as `TCP_LABELS`."""
    ends = (*_source(record.client), *_destination(record.cluster, record.upstream_host, host, record.service))
    return ("source", *ends, "grpc", "-", UNKNOWN)


def http_labels(record: RequestRecord, host: str, status: int, grpc_status: int) -> tuple[str, ...]:
    """The labels of `HTTP_LABELS`; the statuses are within what HTTP and gRPC have, -1 for no gRPC status."""
    grpc = grpc_status >= 0
    return (
        *common_labels(record, host, "grpc" if grpc else "http"),
        str(status),
        str(grpc_status) if grpc else "",
    )
