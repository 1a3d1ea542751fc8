"""Rules of Sidecar (Istio's ValidateSidecar and the CRD)."""

from __future__ import annotations

import re

from ..gateway import ServerTLSMode
from ..meshconfig import OutboundMode
from ..meta import Meta, Path
from ..problems import Findings
from ..sidecar import (
    CaptureMode,
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficPolicy,
    SidecarPort,
    SidecarSpec,
)
from .common import UNIX, check_bind, check_port, check_selector, host_fault, is_label, named_host_fault, unix_fault
from .destinationrule import check_connection_pool
from .gateway import PROTOCOLS, TLS_PROTOCOLS

_ENDPOINT = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]|):([0-9]{1,5})")
EGRESS_PROTOCOLS = (*PROTOCOLS, "HTTP_PROXY", "UDP")


def check_sidecar(spec: SidecarSpec, meta: Meta, findings: Findings) -> None:
    if spec.workload_selector is not None:
        check_selector(spec.workload_selector.labels, ("spec", "workloadSelector", "labels"), findings)
    if not (spec.egress or spec.ingress or spec.outbound_traffic_policy or spec.inbound_connection_pool):
        message = "the Sidecar sets nothing; egress, ingress, outboundTrafficPolicy or inboundConnectionPool is needed"
        findings.error("empty-policy", ("spec",), message)
    numbers: set[int] = set()
    for index, ingress in enumerate(spec.ingress):
        _ingress(ingress, numbers, ("spec", "ingress", index), findings)
    _egress_listeners(spec.egress, findings)
    if spec.inbound_connection_pool is not None:
        check_connection_pool(spec.inbound_connection_pool, ("spec", "inboundConnectionPool"), findings)
    if spec.outbound_traffic_policy is not None:
        _outbound(spec.outbound_traffic_policy, ("spec", "outboundTrafficPolicy"), findings)


def _ingress(listener: IstioIngressListener, numbers: set[int], path: Path, findings: Findings) -> None:
    if listener.port is None:
        findings.error("missing-field", (*path, "port"), "an ingress listener needs its port")
    else:
        _port(listener.port, PROTOCOLS, (*path, "port"), findings)
        check_port(listener.port.number, (*path, "port", "number"), findings)
        number = listener.port.number or 0
        if number in numbers:
            findings.error("duplicate-port", (*path, "port", "number"), f"port {number} has a listener already")
        numbers.add(number)
    check_bind(listener.bind, path, findings, unix=False)
    endpoint = listener.default_endpoint
    if endpoint and endpoint.startswith(UNIX):
        fault = unix_fault(endpoint)
        if fault:
            findings.bad_value("bad-address", (*path, "defaultEndpoint"), fault)
    elif endpoint:
        found = _ENDPOINT.fullmatch(endpoint)
        if found is None or not 1 <= int(found.group(1)) <= 65535:
            message = f"`{endpoint}` is no local endpoint; right is 127.0.0.1:PORT, [::1]:PORT, :PORT or unix:///path"
            findings.bad_value("bad-address", (*path, "defaultEndpoint"), message)
    if listener.connection_pool is not None:
        check_connection_pool(listener.connection_pool, (*path, "connectionPool"), findings)
    _ingress_tls(listener, (*path, "tls"), findings)


def _ingress_tls(listener: IstioIngressListener, path: Path, findings: Findings) -> None:
    tls = listener.tls
    if tls is None:
        return
    protocol = (listener.port.protocol or "").upper() if listener.port is not None else ""
    if protocol not in TLS_PROTOCOLS:
        message = f"tls is for listeners of the protocols {' and '.join(TLS_PROTOCOLS)}, not {protocol or 'none'}"
        findings.error("tls-on-plain-port", path, message)
    for name, value in (
        ("httpsRedirect", tls.https_redirect),
        ("subjectAltNames", tls.subject_alt_names),
        ("credentialName", tls.credential_name),
        ("credentialNames", tls.credential_names),
    ):
        if value:
            findings.error("unsupported-field", (*path, name), f"{name} is not possible in a Sidecar")
    if tls.mode in (ServerTLSMode.ISTIO_MUTUAL, ServerTLSMode.AUTO_PASSTHROUGH):
        findings.bad_value("unsupported-field", (*path, "mode"), f"the mode {tls.mode} is not possible in a Sidecar")


def _port(port: SidecarPort, protocols: tuple[str, ...], path: Path, findings: Findings) -> None:
    if port.protocol and port.protocol.upper() not in protocols:
        message = f"`{port.protocol}` is not a protocol here; right is one of {', '.join(protocols)}"
        findings.bad_value("bad-protocol", (*path, "protocol"), message)
    if port.target_port is not None:
        findings.error("unsupported-field", (*path, "targetPort"), "targetPort is not used in a Sidecar; remove it")


def _egress_port(listener: IstioEgressListener, port: SidecarPort, path: Path, findings: Findings) -> None:
    """The port, or 0 and a Unix socket in its place, to which nothing can be redirected."""
    _port(port, EGRESS_PROTOCOLS, (*path, "port"), findings)
    here = (*path, "port", "number")
    on_socket = (listener.bind or "").startswith(UNIX)
    if port.number:
        check_port(port.number, here, findings)
        if on_socket:
            findings.bad_value("bad-port", here, "a listener bound to unix:// has the port number 0")
        return
    if not on_socket:
        findings.bad_value("bad-port", here, "0 is not a port; right is 1 to 65535, or a bind of unix:///path")
    if listener.capture_mode is CaptureMode.IPTABLES:
        message = "a listener on a Unix socket takes captureMode DEFAULT or NONE: no connection can be redirected to it"
        findings.bad_value("bad-capture-mode", (*path, "captureMode"), message)


def _egress_listeners(listeners: tuple[IstioEgressListener, ...], findings: Findings) -> None:
    taken: set[int | str] = set()  # ports and sockets
    catch_all: int | None = None
    seen: set[str] = set()
    for index, listener in enumerate(listeners):
        path: Path = ("spec", "egress", index)
        if listener.port is None:
            if catch_all is not None:
                findings.error("port-less-listener", path, "only one egress listener can be without a port")
            elif index != len(listeners) - 1:
                findings.error("port-less-listener", path, "the egress listener without a port has to be the last")
            catch_all = index
        else:
            _egress_port(listener, listener.port, path, findings)
            place = listener.port.number or listener.bind or ""
            if place and place in taken:
                field, name = (("port", "number"), f"port {place}") if listener.port.number else (("bind",), str(place))
                findings.error("duplicate-port", (*path, *field), f"{name} has a listener already")
            taken.add(place)
        check_bind(listener.bind, path, findings)
        if not listener.hosts:
            findings.error("missing-field", (*path, "hosts"), 'hosts are required, for instance "./*"')
        for position, host in enumerate(listener.hosts):
            here = (*path, "hosts", position)
            _egress_host(host, here, findings)
            if host in seen and listener.port is None:
                findings.warning("duplicate-host", here, f"`{host}` is listed twice")
            seen.add(host)


def _egress_host(host: str, path: Path, findings: Findings) -> None:
    """`namespace/host`, where the namespace may be `.`, `*`, `~` (none) or `~namespace` (all but its)."""
    namespace, slash, name = host.partition("/")
    if not slash:
        message = f"`{host}` has no namespace; right is namespace/host, for instance ./{host} or */{host}"
        findings.bad_value("bad-host", path, message)
        return
    bare = namespace.removeprefix("~")
    if namespace not in ("*", ".", "~") and bare != "*" and not is_label(bare):
        message = f"`{namespace}` is not a namespace; right is a name, `.`, `*` or `~`"
        findings.bad_value("bad-host", path, message)
    fault = named_host_fault(name)
    if fault:
        findings.bad_value("bad-host", path, f"`{host}` is not a host: {fault}")


def _outbound(policy: OutboundTrafficPolicy, path: Path, findings: Findings) -> None:
    proxy = policy.egress_proxy
    if proxy is None:
        return
    here = (*path, "egressProxy")
    if policy.mode is not OutboundMode.ALLOW_ANY:
        findings.error("egress-proxy", here, "an egressProxy takes unknown destinations, so it needs mode: ALLOW_ANY")
    fault = host_fault(proxy.host or "", wildcard=False)
    if fault:
        findings.bad_value("bad-host", (*here, "host"), f"`{proxy.host or ''}` is not a host: {fault}")
    if proxy.port is None:
        findings.error("missing-field", (*here, "port"), "the egressProxy's port is required")
    else:
        check_port(proxy.port.number, (*here, "port", "number"), findings)
    if proxy.subset and not is_label(proxy.subset):
        findings.bad_value("bad-name", (*here, "subset"), f"`{proxy.subset}` is not a subset's name")
