"""What of Istio's ProxyConfig counts: where a gateway stands, by MeshConfig's defaultConfig or the pod's annotation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from .base import Model, UInt32
from .yaml import Flaw, read

#: A pod's own ProxyConfig, as YAML or JSON; it comes before MeshConfig's defaultConfig.
ANNOTATION = "proxy.istio.io/config"

#: Longer annotations are not read. Kubernetes allows 256 KiB for all of a pod's.
MAX_ANNOTATION = 64 * 1024


class ForwardClientCertDetails(StrEnum):
    """What becomes of x-forwarded-client-cert at a gateway (Envoy's forward_client_cert_details)."""

    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class ProxyProtocolConfiguration(Model, frozen=True, kw_only=True):
    """Connections to a gateway begin with PROXY protocol's header, version 1 or 2."""


class Topology(Model, frozen=True, kw_only=True):
    """Istio's Topology. So many proxies before a gateway are believed what they say of a client."""

    num_trusted_proxies: UInt32 | None = None
    forward_client_cert_details: ForwardClientCertDetails | None = None
    proxy_protocol: ProxyProtocolConfiguration | None = None


class TracingConfig(Model, frozen=True, kw_only=True):
    """Istio's Tracing, as far as no provider says it: the percentage of requests that are traced."""

    sampling: float | None = None


class ProxyConfig(Model, frozen=True, kw_only=True):
    """The part of Istio's ProxyConfig that has a meaning here."""

    gateway_topology: Topology | None = None
    tracing: TracingConfig | None = None


#: Nothing is said.
NOWHERE = Topology()


def merged(default: ProxyConfig | None, own: Topology | None) -> Topology:
    """A gateway's topology: its own word for each field before the mesh's."""
    mesh = (default.gateway_topology if default is not None else None) or NOWHERE
    own = own or NOWHERE
    return Topology(
        num_trusted_proxies=mesh.num_trusted_proxies if own.num_trusted_proxies is None else own.num_trusted_proxies,
        forward_client_cert_details=own.forward_client_cert_details or mesh.forward_client_cert_details,
        proxy_protocol=own.proxy_protocol or mesh.proxy_protocol,
    )


def read_topology(annotations: Mapping[str, str]) -> tuple[Topology | None, str]:
    """The topology in a pod's annotation, and what cannot be read of it (empty: nothing). Other settings of ProxyConfig
    are for Istio's own proxy and left to it."""
    text = annotations.get(ANNOTATION, "")
    if not text.strip():
        return None, ""
    if len(text) > MAX_ANNOTATION:
        return None, f"it is longer than {MAX_ANNOTATION} characters"
    document = next(read(text, ANNOTATION), None)
    if document is None:
        return None, ""
    if isinstance(document, Flaw):
        return None, document.message
    data: Any = document.root.value
    if not isinstance(data, dict):
        return None, "it is no object; right is for instance `gatewayTopology: {numTrustedProxies: 1}`"
    if data.get("gatewayTopology") is None:
        return None, ""
    try:
        return msgspec.convert(data["gatewayTopology"], Topology), ""
    except msgspec.ValidationError as error:
        return None, f"gatewayTopology: {error}"
