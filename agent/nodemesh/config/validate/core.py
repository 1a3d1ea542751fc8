"""Rules of the core kinds, as far as a folder of YAML needs them: an API server has checked its own objects."""

from __future__ import annotations

from ..capture import read_capture
from ..core import ConfigMapSpec, EndpointSliceSpec, PodSpec, ServiceSpec
from ..istiomesh import KEY, NAME, NAMESPACE, read_istio_mesh
from ..meta import Meta, Path
from ..problems import Findings
from ..proxyconfig import ANNOTATION, read_topology
from .common import check_labels, check_port, is_ip

PROTOCOLS = ("TCP", "UDP", "SCTP")


def check_service(spec: ServiceSpec, meta: Meta, findings: Findings) -> None:
    check_labels(spec.selector, ("spec", "selector"), findings)
    if not spec.ports and spec.cluster_ip != "None" and spec.type != "ExternalName":
        findings.error("missing-field", ("spec", "ports"), "a Service needs its ports")
    names: set[str] = set()
    for index, port in enumerate(spec.ports):
        here: Path = ("spec", "ports", index)
        check_port(port.port, (*here, "port"), findings)
        if isinstance(port.target_port, int) and port.target_port:
            check_port(port.target_port, (*here, "targetPort"), findings)
        if port.protocol not in PROTOCOLS:
            message = f"`{port.protocol}` is not a protocol; right is one of {', '.join(PROTOCOLS)}"
            findings.bad_value("bad-protocol", (*here, "protocol"), message)
        if len(spec.ports) > 1 and not port.name:
            findings.error("missing-field", (*here, "name"), "of several ports each needs a name")
        elif port.name and port.name in names:
            findings.bad_value("duplicate-name", (*here, "name"), f"the port name `{port.name}` is used twice")
        names.add(port.name)
    for index, address in enumerate(spec.cluster_ips):
        _address(address, ("spec", "clusterIPs", index), findings)
    if spec.cluster_ip:
        _address(spec.cluster_ip, ("spec", "clusterIP"), findings)


def check_config_map(spec: ConfigMapSpec, meta: Meta, findings: Findings) -> None:
    """Istio's installation keeps its mesh config in the ConfigMap `istio` or `istio-REVISION`, under the key `mesh`."""
    if KEY not in spec.data or not (meta.name == NAME or meta.name.startswith(f"{NAME}-")):
        return
    if (meta.namespace, meta.name) == (NAMESPACE, NAME):
        for found in read_istio_mesh(spec.data).findings:
            findings.warning(found.code, ("data", *found.path), found.message)
        return
    message = (
        f"of Istio's mesh configs the ConfigMap {NAMESPACE}/{NAME} counts: write what you need of this one into a "
        "MeshConfig (nodemesh.io/v1alpha1), whose fields have the same names"
    )
    findings.warning("istio-mesh-config", ("data", KEY), message)


def check_pod(spec: PodSpec, meta: Meta, findings: Findings) -> None:
    addresses: list[tuple[str, Path]] = [(spec.status.pod_ip, ("status", "podIP"))]
    addresses += [(entry.ip, ("status", "podIPs", index, "ip")) for index, entry in enumerate(spec.status.pod_ips)]
    for address, path in addresses:
        if address and not is_ip(address):
            findings.bad_value("bad-address", path, f"`{address}` is not an IP address")
    for fault in read_capture(meta.annotations)[1]:
        findings.warning("bad-annotation", ("metadata", "annotations", fault.annotation), fault.message)
    fault_text = read_topology(meta.annotations)[1]
    if fault_text:
        message = f"the annotation {ANNOTATION} does not count: {fault_text}"
        findings.warning("bad-annotation", ("metadata", "annotations", ANNOTATION), message)


def _address(address: str, path: Path, findings: Findings) -> None:
    if address != "None" and not is_ip(address):
        findings.bad_value("bad-address", path, f"`{address}` is not an IP address, nor None")


def check_endpoint_slice(spec: EndpointSliceSpec, meta: Meta, findings: Findings) -> None:
    if spec.address_type == "FQDN":
        return
    for index, endpoint in enumerate(spec.endpoints):
        for number, address in enumerate(endpoint.addresses):
            if not is_ip(address):
                here: Path = ("endpoints", index, "addresses", number)
                findings.bad_value("bad-address", here, f"`{address}` is not an IP address")
    for index, port in enumerate(spec.ports):
        if port.port:
            check_port(port.port, ("ports", index, "port"), findings)
