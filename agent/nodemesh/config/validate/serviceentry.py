"""Rules of ServiceEntry (Istio's ValidateServiceEntry and the CRD)."""

from __future__ import annotations

from ..meta import Meta, Path
from ..problems import Findings
from ..serviceentry import EntryResolution, ServiceEntrySpec, ServicePort
from ..workload import WorkloadEntrySpec
from .common import UNIX, check_export_to, check_port, check_selector, host_fault, is_ip, is_label, is_subnet
from .workload import check_entry

PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "MONGO", "REDIS", "MYSQL", "TCP", "TLS", "UDP")
HOST_PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TLS")
#: What a ServiceEntry stands for: each of its hosts, on each of its ports, at each of its addresses, with each of its
#: endpoints. Istio's CRD alone allows 256 x 256 x 4096 of them, which fills the memory of all agents.
LIMIT = 50_000

DYNAMIC_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "TLS")


def check_service_entry(spec: ServiceEntrySpec, meta: Meta, findings: Findings) -> None:
    resolution = spec.resolution or EntryResolution.NONE
    _hosts(spec, findings)
    _addresses(spec, resolution, findings)
    _ports(spec, resolution, findings)
    if spec.workload_selector is not None:
        here: Path = ("spec", "workloadSelector", "labels")
        check_selector(spec.workload_selector.labels, here, findings)
        if spec.endpoints:
            message = "only one of workloadSelector and endpoints can be set"
            findings.error("one-of", ("spec", "endpoints"), message)
    _endpoints(spec, resolution, findings)
    if resolution is EntryResolution.DYNAMIC_DNS:
        _dynamic(spec, findings)
    _product(spec, findings)
    check_export_to(spec.export_to, meta, findings, none=True)


def _hosts(spec: ServiceEntrySpec, findings: Findings) -> None:
    if not spec.hosts:
        findings.error("missing-field", ("spec", "hosts"), "a ServiceEntry needs at least one host")
    if len(spec.hosts) > 256:
        findings.error("too-many", ("spec", "hosts"), f"{len(spec.hosts)} hosts; at most 256 are allowed")
    for index, host in enumerate(spec.hosts):
        here: Path = ("spec", "hosts", index)
        fault = host_fault(host, wildcard=True)
        if host == "*":
            findings.bad_value("bad-host", here, "the host `*` is too wide; right is a name or *.example.com")
        elif fault:
            findings.bad_value("bad-host", here, f"`{host}` is not a host: {fault}")
        elif host.startswith("*") and not host.startswith("*."):
            message = f"`{host}`: `*` should stand for whole labels, as in *.example.com"
            findings.warning("partial-wildcard", here, message)


def _addresses(spec: ServiceEntrySpec, resolution: EntryResolution, findings: Findings) -> None:
    for index, address in enumerate(spec.addresses):
        here: Path = ("spec", "addresses", index)
        if not is_subnet(address):
            findings.bad_value("bad-address", here, f"`{address}` is neither an address nor a subnet like 10.0.0.0/8")
        elif "/" in address and resolution not in (EntryResolution.NONE, EntryResolution.STATIC):
            message = f"a subnet is for the resolutions NONE and STATIC, not for {resolution}"
            findings.bad_value("cidr-resolution", here, message)
    wildcard = any(host.startswith("*") for host in spec.hosts)
    if not spec.addresses and (resolution is EntryResolution.NONE or wildcard):
        for index, port in enumerate(spec.ports):
            if _protocol(port) not in HOST_PROTOCOLS:
                message = f"without addresses this {_protocol(port)} port takes all traffic to port {port.number}"
                findings.warning("tcp-without-address", ("spec", "ports", index), message)


def _product(spec: ServiceEntrySpec, findings: Findings) -> None:
    for name, what in (("addresses", spec.addresses), ("endpoints", spec.endpoints)):
        product = len(spec.hosts) * len(spec.ports) * len(what)
        if product > LIMIT:
            message = (
                f"{len(spec.hosts)} hosts on {len(spec.ports)} ports with {len(what)} {name} are {product} together; "
                f"at most {LIMIT} are allowed: use several ServiceEntries with what belongs together"
            )
            findings.error("too-many", ("spec", name), message)


def _protocol(port: ServicePort) -> str:
    return (port.protocol or "TCP").upper()


def _ports(spec: ServiceEntrySpec, resolution: EntryResolution, findings: Findings) -> None:
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(spec.ports):
        here: Path = ("spec", "ports", index)
        if check_port(port.number, (*here, "number"), findings) and port.number in numbers:
            findings.bad_value("duplicate-port", (*here, "number"), f"port {port.number} is declared twice")
        numbers.add(port.number or 0)
        if not port.name:
            findings.error("missing-field", (*here, "name"), "the port's name is required")
        elif not is_label(port.name):
            message = f"`{port.name}` is not a port's name; right are letters, digits and `-`"
            findings.bad_value("bad-name", (*here, "name"), message)
        elif port.name in names:
            findings.bad_value("duplicate-name", (*here, "name"), f"the port name `{port.name}` is used twice")
        names.add(port.name or "")
        if port.protocol and port.protocol.upper() not in PROTOCOLS:
            message = f"`{port.protocol}` is not a protocol; right is one of {', '.join(PROTOCOLS)}"
            findings.bad_value("bad-protocol", (*here, "protocol"), message)
        if port.target_port is not None:
            check_port(port.target_port, (*here, "targetPort"), findings)
        if len(spec.hosts) > 1 and _protocol(port) not in HOST_PROTOCOLS and resolution is not EntryResolution.NONE:
            message = "with several hosts only HTTP and TLS ports can tell them apart; use one ServiceEntry per host"
            findings.error("hosts-share-tcp-port", here, message)


def _endpoints(spec: ServiceEntrySpec, resolution: EntryResolution, findings: Findings) -> None:
    path: Path = ("spec", "endpoints")
    names = {port.name for port in spec.ports}
    if resolution is EntryResolution.NONE and spec.endpoints:
        message = "with the resolution NONE the dialled address is the endpoint; set resolution to STATIC or DNS"
        findings.error("endpoints-without-resolution", path, message)
    if resolution is EntryResolution.DNS_ROUND_ROBIN and len(spec.endpoints) > 1:
        message = "DNS_ROUND_ROBIN takes one endpoint; use the resolution DNS for several"
        findings.error("too-many", path, message)
    if (
        resolution in (EntryResolution.DNS, EntryResolution.DNS_ROUND_ROBIN)
        and not spec.endpoints
        and not spec.workload_selector
    ):
        for index, host in enumerate(spec.hosts):
            if "*" in host and host != "*":
                message = f"`{host}` cannot be looked up; name it without `*`, or list endpoints"
                findings.bad_value("wildcard-lookup", ("spec", "hosts", index), message)
    for index, endpoint in enumerate(spec.endpoints):
        here = (*path, index)
        check_entry(endpoint, here, findings)
        _endpoint(endpoint, resolution, here, findings)
        for name in endpoint.ports:
            if name not in names:
                known = ", ".join(sorted(filter(None, names)))
                message = f"`{name}` is not a port of this ServiceEntry; its ports are {known}"
                findings.error("unknown-port-name", (*here, "ports", name), message)
        if (endpoint.address or "").startswith(UNIX) and len(spec.ports) != 1:
            message = "a unix endpoint serves exactly one port of the ServiceEntry"
            findings.error("unix-endpoint", (*here, "address"), message)


def _endpoint(endpoint: WorkloadEntrySpec, resolution: EntryResolution, path: Path, findings: Findings) -> None:
    address = endpoint.address or ""
    if address.startswith(UNIX):
        if resolution in (EntryResolution.DNS, EntryResolution.DNS_ROUND_ROBIN):
            message = f"a Unix socket cannot be looked up; with the resolution {resolution} an endpoint is a host name"
            findings.bad_value("unix-endpoint", (*path, "address"), f"{message} or an address")
        return
    if address and resolution is EntryResolution.STATIC and not is_ip(address):
        message = f"with the resolution STATIC an endpoint is an IP address; `{address}` needs the resolution DNS"
        findings.bad_value("bad-address", (*path, "address"), message)


def _dynamic(spec: ServiceEntrySpec, findings: Findings) -> None:
    """DYNAMIC_DNS resolves what a request asks for, so all hosts are wildcards and nothing else is set."""
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*."):
            message = "DYNAMIC_DNS is for wildcard hosts; use the resolution DNS for a single name"
            findings.bad_value("dynamic-dns", ("spec", "hosts", index), message)
    for name, value in (("addresses", spec.addresses), ("endpoints", spec.endpoints)):
        if value:
            findings.error("dynamic-dns", ("spec", name), f"DYNAMIC_DNS takes no {name}; remove them")
    for index, port in enumerate(spec.ports):
        if _protocol(port) not in DYNAMIC_PROTOCOLS:
            message = f"DYNAMIC_DNS needs a protocol that names its host: {', '.join(DYNAMIC_PROTOCOLS)}"
            findings.error("dynamic-dns", ("spec", "ports", index), message)
