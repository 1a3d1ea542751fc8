"""Rules of WorkloadEntry, WorkloadGroup and a ServiceEntry's endpoints (Istio's validation and the CRD)."""

from __future__ import annotations

import re

from ..meta import Meta, Path
from ..problems import Findings
from ..workload import ReadinessProbe, WorkloadEntrySpec, WorkloadGroupSpec
from .common import UNIX, check_labels, check_not_negative, check_port, host_fault, is_ip, unix_fault

_PORT_NAME = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?")
_HEADER = re.compile(r"[-_A-Za-z0-9]+")


def check_workload_entry(spec: WorkloadEntrySpec, meta: Meta, findings: Findings) -> None:
    check_entry(spec, ("spec",), findings)


def check_entry(entry: WorkloadEntrySpec, path: Path, findings: Findings, *, template: bool = False) -> None:
    """`template` stands in a WorkloadGroup, where the address comes later."""
    address = entry.address or ""
    here = (*path, "address")
    if not address and not template:
        if entry.network:
            message = "without an address the workload is reached through its network's gateway only"
            findings.warning("no-address", path, message)
        else:
            findings.error("missing-field", here, "the address is required (or a network with a gateway)")
    elif address.startswith(UNIX):
        fault = unix_fault(address) or ("the name of a socket does not end with `/`" if address.endswith("/") else "")
        if fault:
            findings.bad_value("bad-address", here, fault)
        if entry.ports:
            findings.error("unix-endpoint", (*path, "ports"), "a unix address has no ports; remove them")
    elif address and not is_ip(address) and host_fault(address, wildcard=False):
        findings.bad_value("bad-address", here, f"`{address}` is neither an address nor a host name nor unix:///path")
    for name, number in entry.ports.items():
        if len(name) >= 63 or not _PORT_NAME.fullmatch(name):
            findings.error("bad-name", (*path, "ports", name), f"`{name}` is not a port's name")
        check_port(number, (*path, "ports", name), findings)
    check_labels(entry.labels, (*path, "labels"), findings)


def check_workload_group(spec: WorkloadGroupSpec, meta: Meta, findings: Findings) -> None:
    if spec.template is None:
        findings.error("missing-field", ("spec", "template"), "a WorkloadGroup needs the template of its workloads")
    else:
        check_entry(spec.template, ("spec", "template"), findings, template=True)
    if spec.metadata is not None:
        check_labels(spec.metadata.labels, ("spec", "metadata", "labels"), findings)
    if spec.probe is not None:
        _probe(spec.probe, ("spec", "probe"), findings)


def _probe(probe: ReadinessProbe, path: Path, findings: Findings) -> None:
    for name, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        check_not_negative(value, (*path, name), findings)
    methods = [
        name
        for name, value in (
            ("httpGet", probe.http_get),
            ("tcpSocket", probe.tcp_socket),
            ("exec", probe.exec),
            ("grpc", probe.grpc),
        )
        if value is not None
    ]
    if len(methods) != 1:
        findings.error("one-of", path, "a probe needs one of httpGet, tcpSocket, exec and grpc")
    http = probe.http_get
    if http is not None:
        check_port(http.port, (*path, "httpGet", "port"), findings)
        if http.scheme not in (None, "", "HTTP", "HTTPS"):
            message = f"`{http.scheme}` is not a scheme here; right is HTTP or HTTPS"
            findings.bad_value("bad-scheme", (*path, "httpGet", "scheme"), message)
        for index, header in enumerate(http.http_headers):
            if not _HEADER.fullmatch(header.name or ""):
                here = (*path, "httpGet", "httpHeaders", index, "name")
                findings.bad_value("bad-header", here, f"`{header.name or ''}` is not a header's name")
    if probe.tcp_socket is not None:
        check_port(probe.tcp_socket.port, (*path, "tcpSocket", "port"), findings)
    if probe.grpc is not None and probe.grpc.port is not None:
        check_port(probe.grpc.port, (*path, "grpc", "port"), findings)
    if probe.exec is not None and (not probe.exec.command or "" in probe.exec.command):
        findings.error("missing-field", (*path, "exec", "command"), "the command is required, each part not empty")
