"""Rules of MeshConfig."""

from __future__ import annotations

import re

import msgspec

from ..commands import FormatError
from ..log_format import check_format
from ..meshconfig import MeshConfigSpec, MeshOutboundMode, MetricsReporter
from ..meta import Meta, Path
from ..problems import Findings
from ..providers import ENVOY, PROMETHEUS, EnvoyFileAccessLog, OpenTelemetryTracing
from ..rollout import check_rollout
from .common import (
    check_duration,
    check_host,
    check_labels,
    check_port,
    check_range,
    host_fault,
    is_ip,
    is_label,
    is_subnet,
    is_token,
)
from .destinationrule import check_traffic_policy
from .httppolicy import check_retries
from .loadbalancer import check_locality

ENCODINGS = ("TEXT", "JSON")
#: What counts of defaultTrafficPolicy (Istio 1.31).
MESH_BLOCKS = ("connectionPool", "outlierDetection")
ENVIRONMENT_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
OPERATORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}


def check_mesh_config(spec: MeshConfigSpec, meta: Meta, findings: Findings) -> None:
    if not is_label(spec.root_namespace):
        message = f"`{spec.root_namespace}` is not a namespace"
        findings.bad_value("bad-name", ("spec", "rootNamespace"), message)
    fault = host_fault(spec.cluster_domain, wildcard=False)
    if fault:
        findings.bad_value("bad-host", ("spec", "clusterDomain"), f"`{spec.cluster_domain}` is not a domain: {fault}")
    check_duration(spec.connect_timeout, ("spec", "connectTimeout"), findings)
    check_duration(spec.metrics.expiry, ("spec", "metrics", "expiry"), findings)
    if MetricsReporter.SOURCE not in spec.metrics.reporters:
        findings.bad_value("bad-enum", ("spec", "metrics", "reporters"), "what the source reports is always there")
    if spec.default_http_retry_policy is not None:
        check_retries(spec.default_http_retry_policy, ("spec", "defaultHttpRetryPolicy"), findings)
    if spec.default_traffic_policy is not None:
        here: Path = ("spec", "defaultTrafficPolicy")
        check_traffic_policy(spec.default_traffic_policy, meta, here, findings)
        for block in msgspec.structs.fields(spec.default_traffic_policy):
            if block.encode_name not in MESH_BLOCKS and getattr(spec.default_traffic_policy, block.name):
                message = (
                    f"{block.encode_name} has no effect here: of a mesh's policy {' and '.join(MESH_BLOCKS)} count"
                )
                findings.warning("no-effect", (*here, block.encode_name), message)
    _outbound(spec, findings)
    if spec.locality_lb_setting is not None:
        check_locality(spec.locality_lb_setting, ("spec", "localityLbSetting"), findings, outlier=True)
    if spec.access_log_encoding not in ENCODINGS:
        message = f"`{spec.access_log_encoding}` is not an encoding; right is {' or '.join(ENCODINGS)}"
        findings.bad_value("bad-enum", ("spec", "accessLogEncoding"), message)
    if spec.access_log_format:
        try:
            check_format(spec.access_log_format, spec.access_log_encoding == "JSON")
        except FormatError as error:
            message = f"{error} (character {error.offset + 1} of the format)"
            findings.bad_value("bad-log-format", ("spec", "accessLogFormat"), message)
    for name, values in (
        ("defaultServiceExportTo", spec.default_service_export_to),
        ("defaultVirtualServiceExportTo", spec.default_virtual_service_export_to),
        ("defaultDestinationRuleExportTo", spec.default_destination_rule_export_to),
    ):
        for index, value in enumerate(values):
            if value not in ("*", ".", "~") and not is_label(value):
                message = f"`{value}` is not a namespace, nor `.`, `*` or `~`"
                findings.bad_value("bad-export-to", ("spec", name, index), message)
    _providers(spec, findings)
    _selectors(spec, findings)
    _networks(spec, findings)
    for index, entry in enumerate(spec.service_settings):
        for number, host in enumerate(entry.hosts):
            check_host(host, ("spec", "serviceSettings", index, "hosts", number), findings)
    _reach(spec, findings)
    if spec.rollout is not None:
        check_rollout(spec.rollout, ("spec", "rollout"), findings)
    for name, limit in (
        ("connections", spec.limits.connections),
        ("requests", spec.limits.requests),
        ("bufferedBytes", spec.limits.buffered_bytes),
        ("nodeBufferedBytes", spec.limits.node_buffered_bytes),
    ):
        check_range(limit, 1, float("inf"), ("spec", "limits", name), findings)


def _outbound(spec: MeshConfigSpec, findings: Findings) -> None:
    outbound = spec.outbound_traffic_policy
    if outbound.tls is not None and outbound.mode is not MeshOutboundMode.ALLOW_ANY_DYNAMIC_DNS:
        message = "tls has no effect here: it needs mode: ALLOW_ANY_DYNAMIC_DNS"
        findings.warning("no-effect", ("spec", "outboundTrafficPolicy", "tls"), message)


def _providers(spec: MeshConfigSpec, findings: Findings) -> None:
    names: set[str] = set()
    for index, provider in enumerate(spec.extension_providers):
        path: Path = ("spec", "extensionProviders", index)
        if not provider.name:
            findings.error("missing-field", (*path, "name"), "a provider needs its name")
        elif provider.name in names:
            findings.bad_value("duplicate-name", (*path, "name"), f"there is a provider `{provider.name}` already")
        names.add(provider.name or "")
        kinds = (provider.envoy_file_access_log, provider.opentelemetry, provider.prometheus)
        if sum(kind is not None for kind in kinds) != 1:
            message = "a provider is exactly one of envoyFileAccessLog, opentelemetry and prometheus"
            findings.error("one-of", path, message)
        if provider.envoy_file_access_log is not None:
            _file_log(provider.envoy_file_access_log, (*path, "envoyFileAccessLog"), findings)
        if provider.opentelemetry is not None:
            _collector(provider.opentelemetry, (*path, "opentelemetry"), findings)
    logs = {each.name for each in spec.extension_providers if each.envoy_file_access_log is not None}
    collectors = {each.name for each in spec.extension_providers if each.opentelemetry is not None}
    pages = {each.name for each in spec.extension_providers if each.prometheus is not None}
    defaults = spec.default_providers
    for field, chosen, known, what in (
        ("accessLogging", defaults.access_logging, logs | {ENVOY}, "access logs"),
        ("metrics", defaults.metrics, pages | {PROMETHEUS}, "metrics"),
        ("tracing", defaults.tracing, collectors, "traces"),
    ):
        for index, name in enumerate(chosen):
            if name not in known:
                message = f"there is no provider `{name}` of {what} in extensionProviders"
                findings.warning("unknown-provider", ("spec", "defaultProviders", field, index), message)
    tracing = spec.default_config.tracing if spec.default_config is not None else None
    if tracing is not None:
        check_range(tracing.sampling, 0, 100, ("spec", "defaultConfig", "tracing", "sampling"), findings)


def _file_log(log: EnvoyFileAccessLog, path: Path, findings: Findings) -> None:
    if not (log.path or "").startswith("/") or "\0" in (log.path or ""):
        message = f"`{log.path or ''}` is no file for a log; right is an absolute path, or /dev/stdout"
        findings.bad_value("bad-value", (*path, "path"), message)
    form = log.log_format
    if form is None:
        return
    if bool(form.text) == bool(form.labels):
        findings.error("one-of", (*path, "logFormat"), "a format is either text or labels")
    for name, text, json in (("text", form.text or "", False), ("labels", form.as_json, True)):
        try:
            check_format(text, json)
        except FormatError as error:
            findings.bad_value("bad-log-format", (*path, "logFormat", name), str(error))


def _collector(collector: OpenTelemetryTracing, path: Path, findings: Findings) -> None:
    service = (collector.service or "").rpartition("/")[2]
    if not is_ip(service):
        check_host(service, (*path, "service"), findings, wildcard=False)
    check_port(collector.port, (*path, "port"), findings)
    check_range(collector.max_tag_length, 1, float("inf"), (*path, "maxTagLength"), findings)
    http = collector.http
    if http is None:
        return
    if http.path is not None and not http.path.startswith("/"):
        findings.bad_value("bad-value", (*path, "http", "path"), "a path begins with /, as /v1/traces")
    check_duration(http.timeout, (*path, "http", "timeout"), findings)
    for index, header in enumerate(http.headers):
        here: Path = (*path, "http", "headers", index)
        if not is_token(header.name or ""):
            findings.error("bad-header", here, f"`{header.name or ''}` is no field's name")
        if bool(header.value) == bool(header.env_name):
            findings.error("one-of", here, "a field has either value or envName")
        if any(char in (header.value or "") for char in "\r\n\0"):
            findings.bad_value("bad-header", (*here, "value"), "a field's value is one line")


def _reach(spec: MeshConfigSpec, findings: Findings) -> None:
    for index, folder in enumerate(spec.allowed_folders):
        parts = [part for part in folder.split("/") if part]
        if not folder.startswith("/") or not parts or ".." in parts or "\0" in folder:
            message = f"`{folder}` is not a folder to allow; right is an absolute path without `..`, and not /"
            findings.bad_value("bad-folder", ("spec", "allowedFolders", index), message)
    for index, name in enumerate(spec.allowed_environment):
        if not re.fullmatch(ENVIRONMENT_NAME, name):
            message = f"`{name}` is not the name of an environment variable"
            findings.bad_value("bad-name", ("spec", "allowedEnvironment", index), message)
    for index, host in enumerate(spec.admin_hosts):
        fault = "" if is_ip(host) else host_fault(host, wildcard=False)
        if fault:
            findings.bad_value("bad-host", ("spec", "adminHosts", index), f"`{host}` is not a host: {fault}")
    for index, network in enumerate(spec.admin_clients):
        if not is_subnet(network):
            message = f"`{network}` is not a subnet; write it as 10.1.0.0/16"
            findings.bad_value("bad-address", ("spec", "adminClients", index), message)


def _networks(spec: MeshConfigSpec, findings: Findings) -> None:
    for name, network in spec.networks.items():
        for index, entry in enumerate(network.endpoints):
            here: Path = ("spec", "networks", name, "endpoints", index)
            if bool(entry.from_cidr) == bool(entry.from_registry):
                findings.error("one-of", here, "give either fromCidr or fromRegistry, the name of a cluster")
            elif entry.from_cidr and not is_subnet(entry.from_cidr):
                message = f"`{entry.from_cidr}` is not a subnet; write it as 10.1.0.0/16"
                findings.bad_value("bad-address", (*here, "fromCidr"), message)
        for index, gateway in enumerate(network.gateways):
            here = ("spec", "networks", name, "gateways", index)
            check_port(gateway.port, (*here, "port"), findings)
            if not is_ip(gateway.address):
                message = f"`{gateway.address}` is not an IP address; gateways of networks are dialled by theirs"
                findings.bad_value("bad-address", (*here, "address"), message)


def _selectors(spec: MeshConfigSpec, findings: Findings) -> None:
    for index, selector in enumerate(spec.discovery_selectors):
        path: Path = ("spec", "discoverySelectors", index)
        check_labels(selector.match_labels, (*path, "matchLabels"), findings)
        for number, requirement in enumerate(selector.match_expressions):
            here = (*path, "matchExpressions", number)
            needs_values = OPERATORS.get(requirement.operator)
            if needs_values is None:
                message = f"`{requirement.operator}` is not an operator; right is one of {', '.join(OPERATORS)}"
                findings.bad_value("bad-enum", (*here, "operator"), message)
            elif needs_values != bool(requirement.values):
                right = "needs values" if needs_values else "takes no values"
                findings.error("bad-label", (*here, "values"), f"the operator {requirement.operator} {right}")
