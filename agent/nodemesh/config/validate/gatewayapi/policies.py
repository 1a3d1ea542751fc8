"""Rules of BackendTLSPolicy, XBackendTrafficPolicy and XBackend."""

from __future__ import annotations

from ...base import Duration
from ...gatewayapi.policies import (
    BackendSpec,
    BackendTLSMode,
    BackendTLSPolicySpec,
    BackendTrafficPolicySpec,
    BackendValidation,
    SubjectAltName,
)
from ...meta import Meta, Path
from ...problems import Findings
from ..common import is_ip
from .common import check_told_apart, check_unique
from .routes import check_session

HOUR = 3_600_000  # ms


def check_backend_tls_policy(spec: BackendTLSPolicySpec, meta: Meta, findings: Findings) -> None:
    check_told_apart(
        spec.target_refs,
        lambda one: (one.group, one.kind, one.name),
        lambda one: (one.section_name,),
        ("spec", "targetRefs"),
        findings,
        "targetRefs that name one target need each its own sectionName",
    )
    _validation(spec.validation, ("spec", "validation"), findings)


def _validation(validation: BackendValidation, path: Path, findings: Findings) -> None:
    if bool(validation.ca_certificate_refs) == bool(validation.well_known_ca_certificates):
        message = "one of caCertificateRefs and wellKnownCACertificates is needed, and not both"
        findings.error("one-of", path, message)
    for index, name in enumerate(validation.subject_alt_names):
        _name(name, (*path, "subjectAltNames", index), findings)


def _name(name: SubjectAltName, path: Path, findings: Findings) -> None:
    for kind, field, value in (("Hostname", "hostname", name.hostname), ("URI", "uri", name.uri)):
        if name.type == kind and not value:
            findings.error("missing-field", (*path, field), f"{field} is needed for the type {kind}")
        elif name.type != kind and value:
            findings.error("one-of", (*path, field), f"{field} does not belong to the type {name.type.value}")


def check_backend_traffic_policy(spec: BackendTrafficPolicySpec, meta: Meta, findings: Findings) -> None:
    targets = ((target.group, target.kind, target.name) for target in spec.target_refs)
    check_unique(targets, ("spec", "targetRefs"), findings, "the target")
    if spec.retry_constraint is not None:
        path: Path = ("spec", "retryConstraint")
        _interval(spec.retry_constraint.budget.interval, 1000, (*path, "budget", "interval"), findings)
        _interval(spec.retry_constraint.min_retry_rate.interval, 1, (*path, "minRetryRate", "interval"), findings)
    if spec.session_persistence is not None:
        check_session(spec.session_persistence, ("spec", "sessionPersistence"), findings)


def _interval(interval: Duration, least: int, path: Path, findings: Findings) -> None:
    if not least <= interval <= HOUR:
        findings.bad_value("bad-duration", path, f"an interval here is {'1s' if least == 1000 else '1ms'} to 1h")


def check_backend_spec(spec: BackendSpec, meta: Meta, findings: Findings) -> None:
    if spec.external_hostname is None:
        message = "externalHostname is needed for the type ExternalHostname"
        findings.error("missing-field", ("spec", "externalHostname"), message)
    else:
        host = spec.external_hostname.hostname
        if host.endswith(".cluster.local") or is_ip(host):
            message = f"`{host}` is not a host outside of the cluster; Services are referred to as Services"
            findings.bad_value("bad-host", ("spec", "externalHostname", "hostname"), message)
    if spec.port.name and (len(spec.port.name) > 63 or not spec.port.name.replace("-", "a").isalnum()):
        findings.bad_value("bad-name", ("spec", "port", "name"), f"`{spec.port.name}` is not a DNS label")
    tls = spec.tls
    if tls is not None:
        mutual = tls.mode is BackendTLSMode.CLIENT_AND_SERVER
        if mutual is not (tls.client_certificate_ref is not None):
            message = "clientCertificateRef stands with the mode ClientAndServer, and with no other"
            findings.error("one-of", ("spec", "tls", "clientCertificateRef"), message)
        if tls.validation is not None:
            _validation(tls.validation, ("spec", "tls", "validation"), findings)
