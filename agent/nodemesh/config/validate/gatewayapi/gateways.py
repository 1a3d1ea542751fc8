"""Rules of GatewayClass, Gateway and ListenerSet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...gatewayapi.common import SUBDOMAIN
from ...gatewayapi.gateways import (
    GatewayAddress,
    GatewayListener,
    KubernetesGatewaySpec,
    ListenerSetSpec,
    TLSMode,
)
from ...meta import Meta, Path
from ...problems import Findings
from ..common import is_ip
from .common import check_unique

_HOSTNAME = re.compile(rf"(\*\.)?{SUBDOMAIN}")
_KEY = re.compile(rf"({SUBDOMAIN}/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]")
_DOMAIN_TYPE = re.compile(rf"{SUBDOMAIN}/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
ADDRESS_TYPES = ("IPAddress", "Hostname", "NamedAddress")


def check_kubernetes_gateway(spec: KubernetesGatewaySpec, meta: Meta, findings: Findings) -> None:
    check_listeners(spec.listeners, findings)
    _addresses(spec.addresses, ("spec", "addresses"), findings)
    infrastructure = spec.infrastructure
    if infrastructure is not None:
        path: Path = ("spec", "infrastructure")
        _keys(infrastructure.labels, "label", (*path, "labels"), findings)
        _keys(infrastructure.annotations, "annotation", (*path, "annotations"), findings)
    if spec.tls is not None and spec.tls.frontend is not None:
        ports = (entry.port for entry in spec.tls.frontend.per_port)
        check_unique(ports, ("spec", "tls", "frontend", "perPort"), findings, "the port", "port")


def check_listener_set(spec: ListenerSetSpec, meta: Meta, findings: Findings) -> None:
    check_listeners(spec.listeners, findings)


def check_listeners(listeners: Sequence[GatewayListener], findings: Findings) -> None:
    path: Path = ("spec", "listeners")
    check_unique((listener.name for listener in listeners), path, findings, "the listener name", "name")
    seen: dict[tuple[int, str, str | None], str] = {}
    for index, listener in enumerate(listeners):
        _listener(listener, (*path, index), findings)
        first = seen.setdefault((listener.port, listener.protocol, listener.hostname), listener.name)
        if first != listener.name:
            message = f"listener {first} has the same port, protocol and hostname; one of them has to differ"
            findings.error("duplicate-port", (*path, index), message)


def _listener(listener: GatewayListener, path: Path, findings: Findings) -> None:
    protocol, tls = listener.protocol, listener.tls
    if protocol in ("TCP", "UDP") and listener.hostname:
        findings.error("tls-on-plain-port", (*path, "hostname"), f"{protocol} has no hostname; remove it")
    if protocol in ("HTTP", "TCP", "UDP") and tls is not None:
        findings.error("tls-on-plain-port", (*path, "tls"), f"{protocol} has no tls; right is HTTPS or TLS")
    if protocol == "HTTPS" and tls is not None and tls.mode is not TLSMode.TERMINATE:
        findings.bad_value("bad-protocol", (*path, "tls", "mode"), "HTTPS ends here: the mode is Terminate")
    if protocol == "TLS" and tls is None:
        findings.error("missing-field", (*path, "tls"), "TLS needs a mode: tls.mode is Terminate or Passthrough")
    if tls is not None and tls.mode is TLSMode.TERMINATE and not tls.certificate_refs and not tls.options:
        message = "certificateRefs or options are needed where TLS ends here"
        findings.error("missing-field", (*path, "tls", "certificateRefs"), message)


def _addresses(addresses: Iterable[GatewayAddress], path: Path, findings: Findings) -> None:
    seen: set[tuple[str, str]] = set()
    for index, address in enumerate(addresses):
        here: Path = (*path, index, "value")
        if address.type not in ADDRESS_TYPES and not _DOMAIN_TYPE.fullmatch(address.type):
            right = f"right is {', '.join(ADDRESS_TYPES)} or DOMAIN/NAME"
            findings.bad_value("bad-enum", (*path, index, "type"), f"`{address.type}` is no type of address; {right}")
        if not address.value:
            continue
        if address.type == "IPAddress" and not is_ip(address.value):
            message = f"`{address.value}` is not an IPv4 or IPv6 address"
            findings.bad_value("bad-address", here, message)
        if address.type == "Hostname" and not _HOSTNAME.fullmatch(address.value):
            findings.bad_value("bad-host", here, f"`{address.value}` is not a host name")
        if address.type in ("IPAddress", "Hostname") and (address.type, address.value) in seen:
            findings.bad_value("duplicate-name", here, f"{address.value} is there twice; remove one")
        seen.add((address.type, address.value))


def _keys(names: Iterable[str], what: str, path: Path, findings: Findings) -> None:
    for name in names:
        if not _KEY.fullmatch(name) or len(name.partition("/")[0]) >= 253:
            message = (
                f"`{name}` is not the name of {'an' if what == 'annotation' else 'a'} {what}; right is [domain/]name"
            )
            findings.error("bad-label", (*path, name), message)
