"""What connections in kernel mode have done, under the same labels as those that pass the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..datapath.traffic import Path, Traffic
from ..proxy.addresses import show
from ..reasons import Reason
from ..routing.client import Client
from ..routing.decision import Cluster, Route
from ..routing.heads import place_of
from ..routing.views import Views
from ..telemetry.record import ConnectionRecord
from ..telemetry.telemetry import Telemetry
from .kernel_endpoints import KernelEndpoints

#: The client behind a network namespace's cookie, None where it is not known any more.
ClientOf = Callable[[int], Client | None]


def cluster_at(views: Views, client: Client, path: Path) -> Cluster | None:
    """The cluster whose endpoint the kernel picked. The tables may have changed since: of a service that goes through
    the proxy by now it is the one of all its endpoints; None where the endpoint or the service is gone."""
    view = views.for_client(client)
    frontend = view.frontend(*path.dialled)
    destinations = frontend.tcp.destinations if isinstance(frontend.tcp, Route) else ()
    clusters = [destination.cluster for destination in destinations]
    if frontend.service is not None:
        clusters.append(view.builder().cluster(frontend.service, frontend.logical_port, ""))
    for cluster in clusters:
        if cluster is not None and any((end.address, end.port) == path.backend for end in cluster.endpoints):
            return cluster
    return None


def places(taken: Mapping[Path, Traffic], client_of: ClientOf, views: Views) -> Iterator[tuple[str, int]]:
    """The services' ports that were dialled, as `host:port`, each with how many connections there were."""
    for path, traffic in taken.items():
        client = client_of(path.netns)
        frontend = views.for_client(client).frontend(*path.dialled) if client is not None else None
        if frontend is not None and frontend.service is not None:
            yield place_of(frontend.service.host, frontend.logical_port), traffic.opened + traffic.failed


def failures(taken: Mapping[Path, Traffic], client_of: ClientOf, views: Views) -> Iterator[tuple[Path, str]]:
    """The paths on which connects failed, each with the host whose endpoint that is."""
    for path, traffic in taken.items():
        client = client_of(path.netns) if traffic.failed and path.backend[1] else None
        cluster = cluster_at(views, client, path) if client is not None else None
        if cluster is not None:
            yield path, cluster.host


def dump(taken: Mapping[Path, Traffic], client_of: ClientOf, views: Views, endpoints: KernelEndpoints) -> bytes:
    """The traffic as a worker's dump (`telemetry.Dump` in msgpack), added up in `endpoints` too."""
    telemetry = Telemetry()
    for path, traffic in taken.items():
        client = client_of(path.netns)
        if client is None:
            continue
        record = ConnectionRecord(client)
        record.cluster = cluster_at(views, client, path)
        record.service = views.for_client(client).frontend(*path.dialled).service
        if record.cluster is not None:
            endpoints.add(record.cluster, path.backend, traffic)
        record.authority = f"{path.dialled[0]}:{path.dialled[1]}".encode()
        record.upstream_host = show(path.backend)
        # The app's side counts what it sent; Istio counts `sent` towards the client.
        telemetry.add_connections(
            record,
            opened=traffic.opened,
            closed=traffic.closed,
            sent=traffic.received,
            received=traffic.sent,
        )
        if traffic.failed:
            record.reasons = (Reason.UPSTREAM_CONNECTION_FAILURE,)
            telemetry.add_connections(record, opened=traffic.failed, closed=traffic.failed)
    return telemetry.dump()
