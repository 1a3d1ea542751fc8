"""Rules of DestinationRule (Istio's ValidateDestinationRule and the CRD)."""

from __future__ import annotations

from ..credential import CONFIG_MAP, config_map_fault, place_of
from ..destinationrule import (
    ClientTLSMode,
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRuleSpec,
    H2UpgradePolicy,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
    TunnelSettings,
)
from ..meta import Meta, Path
from ..problems import Findings
from .common import (
    NO_AUTHORITY,
    check_duration,
    check_export_to,
    check_host,
    check_labels,
    check_not_negative,
    check_port,
    check_range,
    check_selector,
    check_subset,
    host_fault,
    is_ip,
)
from .loadbalancer import check_load_balancer

MAX_PORT_LEVEL_SETTINGS = 4096


def check_destination_rule(spec: DestinationRuleSpec, meta: Meta, findings: Findings) -> None:
    if not spec.host:
        findings.error("missing-field", ("spec", "host"), "the host that the rule is for is required")
    else:
        check_host(spec.host, ("spec", "host"), findings)
    if spec.traffic_policy is not None:
        check_traffic_policy(spec.traffic_policy, meta, ("spec", "trafficPolicy"), findings)
    names: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        _subset(subset, names, meta, ("spec", "subsets", index), findings)
    check_export_to(spec.export_to, meta, findings)
    if spec.workload_selector is not None:
        here: Path = ("spec", "workloadSelector", "matchLabels")
        check_selector(spec.workload_selector.match_labels, here, findings)
        if any(name not in (".", meta.namespace) for name in spec.export_to):
            message = "with a workloadSelector the rule is for its own namespace; set exportTo to [.] or leave it out"
            findings.error("bad-export-to", ("spec", "exportTo"), message)


def _subset(subset: Subset, names: set[str], meta: Meta, path: Path, findings: Findings) -> None:
    if not subset.name:
        findings.error("missing-field", (*path, "name"), "the subset's name is required")
    else:
        check_subset(subset.name, (*path, "name"), findings)
        if subset.name in names:
            message = f"the subset `{subset.name}` is defined twice; rename one"
            findings.bad_value("duplicate-name", (*path, "name"), message)
        names.add(subset.name)
    check_labels(subset.labels, (*path, "labels"), findings)
    if subset.traffic_policy is not None:
        check_traffic_policy(subset.traffic_policy, meta, (*path, "trafficPolicy"), findings)


def check_traffic_policy(policy: TrafficPolicy, meta: Meta, path: Path, findings: Findings) -> None:
    if policy == TrafficPolicy():
        findings.error("empty-policy", path, "the trafficPolicy sets nothing; remove it or set one of its fields")
    _blocks(policy, meta, path, findings)
    if policy.tunnel is not None and policy.proxy_protocol is not None:
        message = "only one of tunnel and proxyProtocol can be set"
        findings.error("one-of", (*path, "proxyProtocol"), message)
    if policy.tunnel is not None:
        _tunnel(policy.tunnel, (*path, "tunnel"), findings)
    budget = policy.retry_budget
    if budget is not None:
        check_range(budget.percent, 0, 100, (*path, "retryBudget", "percent"), findings)
    if len(policy.port_level_settings) > MAX_PORT_LEVEL_SETTINGS:
        message = f"more than {MAX_PORT_LEVEL_SETTINGS} portLevelSettings"
        findings.error("too-many", (*path, "portLevelSettings"), message)
    ports: set[int] = set()
    for index, settings in enumerate(policy.port_level_settings):
        here = (*path, "portLevelSettings", index)
        number = settings.port.number if settings.port is not None else None
        if number is None:
            findings.error("missing-field", (*here, "port", "number"), "the port's number is required")
        elif check_port(number, (*here, "port", "number"), findings) and number in ports:
            message = f"port {number} was set before; the later settings have no effect"
            findings.warning("duplicate-port", here, message)
        ports.add(number or 0)
        if settings == PortTrafficPolicy(port=settings.port):
            message = "the port's policy sets nothing; set loadBalancer, connectionPool, outlierDetection or tls"
            findings.error("empty-policy", here, message)
        _blocks(settings, meta, here, findings)


def _blocks(policy: TrafficPolicy | PortTrafficPolicy, meta: Meta, path: Path, findings: Findings) -> None:
    """The four blocks that a destination and a port have in common."""
    if policy.load_balancer is not None:
        outlier = policy.outlier_detection is not None
        check_load_balancer(policy.load_balancer, (*path, "loadBalancer"), findings, outlier=outlier)
    if policy.connection_pool is not None:
        check_connection_pool(policy.connection_pool, (*path, "connectionPool"), findings)
    if policy.outlier_detection is not None:
        _outlier(policy.outlier_detection, (*path, "outlierDetection"), findings)
    if policy.tls is not None:
        _tls(policy.tls, meta, (*path, "tls"), findings)


def check_connection_pool(pool: ConnectionPoolSettings, path: Path, findings: Findings) -> None:
    if pool.tcp is None and pool.http is None:
        findings.error("empty-policy", path, "the connectionPool sets nothing; set tcp or http")
    tcp = pool.tcp
    if tcp is not None:
        here = (*path, "tcp")
        check_not_negative(tcp.max_connections, (*here, "maxConnections"), findings)
        check_duration(tcp.connect_timeout, (*here, "connectTimeout"), findings)
        check_duration(tcp.max_connection_duration, (*here, "maxConnectionDuration"), findings)
        if tcp.tcp_keepalive is not None:
            check_duration(tcp.tcp_keepalive.time, (*here, "tcpKeepalive", "time"), findings)
            check_duration(tcp.tcp_keepalive.interval, (*here, "tcpKeepalive", "interval"), findings)
    http = pool.http
    if http is not None:
        here = (*path, "http")
        for name, value in (
            ("http1MaxPendingRequests", http.http1_max_pending_requests),
            ("http2MaxRequests", http.http2_max_requests),
            ("maxRequestsPerConnection", http.max_requests_per_connection),
            ("maxRetries", http.max_retries),
            ("maxConcurrentStreams", http.max_concurrent_streams),
        ):
            check_not_negative(value, (*here, name), findings)
        check_duration(http.idle_timeout, (*here, "idleTimeout"), findings)
        if http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE and http.use_client_protocol:
            message = "useClientProtocol keeps the protocol that h2UpgradePolicy: UPGRADE changes; remove one"
            findings.error("one-of", (*here, "useClientProtocol"), message)
        alive = http.http2_keep_alive
        if alive is not None:
            for name, value in (("interval", alive.interval), ("timeout", alive.timeout)):
                place = (*here, "http2KeepAlive", name)
                if value is None:
                    findings.error("missing-field", place, f"http2KeepAlive needs {name}")
                check_duration(value, place, findings)


def _outlier(outlier: OutlierDetection, path: Path, findings: Findings) -> None:
    check_duration(outlier.interval, (*path, "interval"), findings)
    check_duration(outlier.base_ejection_time, (*path, "baseEjectionTime"), findings)
    check_range(outlier.max_ejection_percent, 0, 100, (*path, "maxEjectionPercent"), findings)
    check_range(outlier.min_health_percent, 0, 100, (*path, "minHealthPercent"), findings)
    if outlier.consecutive_errors is not None:
        message = "consecutiveErrors is deprecated and has no effect; use consecutive5xxErrors"
        findings.warning("deprecated-field", (*path, "consecutiveErrors"), message)
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        message = "consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors: true"
        findings.error("local-origin", (*path, "consecutiveLocalOriginFailures"), message)
    for index, code in enumerate(outlier.outlier_detection_http_error_codes):
        check_range(code, 100, 599, (*path, "outlierDetectionHttpErrorCodes", index), findings)


def _tls(tls: ClientTLSSettings, meta: Meta, path: Path, findings: Findings) -> None:
    files = [
        name
        for name, value in (
            ("clientCertificate", tls.client_certificate),
            ("privateKey", tls.private_key),
            ("caCertificates", tls.ca_certificates),
        )
        if value
    ]
    if tls.insecure_skip_verify:
        for name, set_ in (("caCertificates", tls.ca_certificates), ("subjectAltNames", tls.subject_alt_names)):
            if set_:
                message = f"insecureSkipVerify verifies nothing, so {name} has no place beside it"
                findings.error("one-of", (*path, name), message)
        if tls.mode is ClientTLSMode.SIMPLE and tls.credential_name:
            message = "SIMPLE takes only the CA from its credential, and insecureSkipVerify verifies nothing"
            findings.error("one-of", (*path, "credentialName"), message)
    if tls.mode is ClientTLSMode.ISTIO_MUTUAL:
        message = f"ISTIO_MUTUAL has no effect here, connections stay as they are: {NO_AUTHORITY}"
        findings.warning("no-effect", (*path, "mode"), message)
        for name, value in (*((file, True) for file in files), ("credentialName", tls.credential_name)):
            if value:
                findings.error("one-of", (*path, name), f"ISTIO_MUTUAL brings its own certificates; remove {name}")
        return
    if tls.credential_name:
        if tls.mode in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
            for name in (*files, *(["caCrl"] if tls.ca_crl else [])):
                findings.error("one-of", (*path, name), f"only one of credentialName and {name} can be set")
        if tls.credential_name.startswith(CONFIG_MAP):
            _config_map(tls.credential_name, tls.mode, meta, (*path, "credentialName"), findings)
    elif tls.mode is ClientTLSMode.MUTUAL:
        for name, value in (("clientCertificate", tls.client_certificate), ("privateKey", tls.private_key)):
            if not value:
                findings.error("missing-field", (*path, name), f"MUTUAL needs {name}, or a credentialName")


def _config_map(name: str, mode: ClientTLSMode | None, meta: Meta, path: Path, findings: Findings) -> None:
    message = config_map_fault(name)
    if not message and place_of(name)[0] != meta.namespace:
        message = f"a rule's ConfigMap is of its own namespace, {meta.namespace}"
    if mode is ClientTLSMode.MUTUAL:
        message = "a ConfigMap holds no private key; a MUTUAL mode's credential is a Secret"
    if message:
        findings.bad_value("bad-credential", path, message)


def _tunnel(tunnel: TunnelSettings, path: Path, findings: Findings) -> None:
    if tunnel.protocol not in (None, "", "CONNECT", "POST"):
        message = f"`{tunnel.protocol}` is not a tunnel's protocol; right is CONNECT or POST"
        findings.bad_value("bad-protocol", (*path, "protocol"), message)
    host = tunnel.target_host or ""
    if not host:
        findings.error("missing-field", (*path, "targetHost"), "the tunnel's targetHost is required")
    elif host_fault(host, wildcard=False) and not is_ip(host):
        findings.bad_value("bad-host", (*path, "targetHost"), f"`{host}` is neither a host name nor an address")
    check_port(tunnel.target_port, (*path, "targetPort"), findings)
