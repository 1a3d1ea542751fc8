"""What Istio's Grafana dashboards and Kiali ask of Prometheus, for a mesh without mutual TLS."""

from collections.abc import Iterator

REPORTERS = "source|destination"  # what the dashboards' variable offers; the second one is chosen as they open
MESH = 'reporter=~"source|waypoint"'
PLAIN = 'connection_security_policy!="mutual_tls"'

#: The labels by which Kiali tells edges apart (beside what it asks each metric for).
ENDS = (
    "source_cluster", "source_workload_namespace", "source_workload", "source_canonical_service",
    "source_canonical_revision", "destination_cluster", "destination_service_namespace", "destination_service",
    "destination_service_name", "destination_workload_namespace", "destination_workload",
    "destination_canonical_service", "destination_canonical_revision",
)  # fmt: skip
SAID = ("request_protocol", "response_code", "grpc_response_status", "response_flags")


def rate(metric: str, labels: str, window: str = "1m", how: str = "irate") -> str:
    return f"{how}({metric}{{{labels}}}[{window}])"


def summed(what: str, *by: str) -> str:
    return f"sum({what}) by ({', '.join(by)})" if by else f"sum({what})"


def quantile(share: float, metric: str, labels: str, *by: str) -> str:
    return f"histogram_quantile({share}, {summed(rate(f'{metric}_bucket', labels), 'le', *by)})"


def mesh() -> Iterator[tuple[str, str]]:
    """The panels of the mesh dashboard."""
    requests = rate("istio_requests_total", MESH, how="rate")
    fine = rate("istio_requests_total", f'{MESH},response_code!~"5.."', how="rate")
    workload = ("destination_workload", "destination_workload_namespace")
    yield "global request volume", f"round({summed(requests)}, 0.01)"
    yield "global success rate", f"{summed(fine)} / {summed(requests)}"
    yield "5xx", summed(rate("istio_requests_total", f'{MESH},response_code=~"5.."', how="rate"))
    yield "HTTP workloads: requests", summed(requests, *workload, "destination_service")
    for share in (0.5, 0.9, 0.99):
        yield f"HTTP workloads: p{share}", quantile(share, "istio_request_duration_milliseconds", MESH, *workload)
    yield "HTTP workloads: success", f"{summed(fine, *workload)} / {summed(requests, *workload)}"
    for way in ("received", "sent"):
        flow = rate(f"istio_tcp_{way}_bytes_total", MESH, how="rate")
        yield f"TCP workloads: {way}", summed(flow, *workload, "destination_service")
    yield "Istio component versions", summed("istio_build", "component", "tag")


def _panels(of: str, by: tuple[str, ...], what: str) -> Iterator[tuple[str, str]]:
    """The panels by one of the ends, of what carries these labels."""
    requests = rate("istio_requests_total", f"{PLAIN},{of}", "5m")
    fine = rate("istio_requests_total", f'{PLAIN},{of},response_code!~"5.."', "5m")
    yield f"{what}: requests by code", summed(requests, *by, "response_code")
    yield f"{what}: success rate", f"{summed(fine, *by)} / {summed(requests, *by)}"
    for name in ("istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"):
        for share in (0.5, 0.99):
            yield f"{what}: p{share} of {name}", quantile(share, name, f"{PLAIN},{of}", *by)


def _tcp(of: str, by: tuple[str, ...], what: str) -> Iterator[tuple[str, str]]:
    for way in ("received", "sent"):
        flow = rate(f"istio_tcp_{way}_bytes_total", f"{PLAIN},{of}")
        yield f"{what}: TCP bytes {way}", f"round({summed(flow, *by)}, 0.001)"


SOURCE = ("source_workload", "source_workload_namespace")
DESTINATION = ("destination_workload", "destination_workload_namespace")


def service(http: str, tcp: str, reporter: str) -> Iterator[tuple[str, str]]:
    """The panels of the service dashboard, for one service of each protocol; its lower half asks the servers' side,
    whatever is chosen."""
    for chosen, what in ((reporter, "client"), ("destination", "server")):
        of = f'reporter=~"{chosen}",destination_service=~"{http}"'
        requests = rate("istio_requests_total", of, "5m")
        fine = rate("istio_requests_total", f'{of},response_code!~"5.."', "5m")
        yield f"{what} request volume", f"round({summed(requests)}, 0.001)"
        yield f"{what} success rate", f"{summed(fine)} / {summed(requests)}"
        for share in (0.5, 0.9, 0.99):
            yield f"{what} duration p{share}", quantile(share, "istio_request_duration_milliseconds", of)
        by = SOURCE if what == "client" else DESTINATION
        yield from _panels(of, by, f"{what} workloads")
        yield from _tcp(f'reporter=~"{chosen}",destination_service=~"{tcp}"', by, f"{what} workloads")


def workload(http: str, tcp: str, client: str, reporter: str) -> Iterator[tuple[str, str]]:
    """The panels of the workload dashboard: what comes in, and (by the source's word, whatever is chosen) what goes
    out."""
    of = f'reporter=~"{reporter}",destination_workload=~"{http}"'
    yield "incoming volume", f"round({summed(rate('istio_requests_total', of, '5m'))}, 0.001)"
    yield from _panels(of, SOURCE, "inbound")
    yield from _tcp(f'reporter=~"{reporter}",destination_workload=~"{tcp}"', SOURCE, "inbound")
    out = f'reporter="source",source_workload=~"{client}"'
    yield from _panels(out, ("destination_service",), "outbound")
    yield from _tcp(out, ("destination_service",), "outbound")


def kiali(namespace: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """For its graph of a namespace: the metric, the labels' conditions, and the labels of an edge."""
    for metric, said in (("istio_requests_total", SAID), ("istio_tcp_sent_bytes_total", ("response_flags",))):
        for reporter, end in (("destination", "destination"), ("source", "source")):
            where = f'reporter=~"waypoint|{reporter}",{end}_workload_namespace="{namespace}"'
            yield metric, where, (*ENDS, *said)
