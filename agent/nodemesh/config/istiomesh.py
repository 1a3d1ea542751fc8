"""Istio's own mesh config, as its installation keeps it: the ConfigMap `istio` of istio-system, in the key `mesh`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from .decode import decode
from .meshconfig import MeshConfigSpec
from .meta import Meta, Path
from .problems import Finding, Findings, Severity
from .validate.meshconfig import check_mesh_config
from .yaml import Flaw, read

#: Where it stands. Those of revisions (`istio-REVISION`) are for the proxies that these inject.
NAMESPACE, NAME, KEY = "istio-system", "istio", "mesh"

#: Beside it, Istio's MeshNetworks, which are MeshConfig's networks here.
NETWORKS_KEY = "meshNetworks"

#: The fields that mean here what they mean there. MeshConfig has more, which are ours alone.
SHARED = frozenset(
    {
        "accessLogEncoding", "accessLogFile", "accessLogFormat", "connectTimeout", "defaultConfig",
        "defaultDestinationRuleExportTo", "defaultHttpRetryPolicy", "defaultProviders", "defaultServiceExportTo",
        "defaultVirtualServiceExportTo", "discoverySelectors", "enableTracing", "extensionProviders", "h2UpgradePolicy",
        "localityLbSetting", "outboundTrafficPolicy", "rootNamespace", "serviceSettings",
    }
)  # fmt: skip

_INBOUND = "inbound traffic is not intercepted"
_IDENTITY = "there are no mesh identities, and no certificate authority"
_INGRESS = "Ingress objects are not read; use a Gateway"
_ENVOY = "it is about Envoy, and there is none here"

#: Istio's other fields, and why they have no effect.
REASONS: dict[str, str] = {
    **dict.fromkeys(("proxyListenPort", "proxyInboundListenPort"), "connections are taken over by eBPF at connect()"),
    "proxyHttpPort": "apps need no HTTP proxy: connections are taken over by eBPF at connect()",
    "protocolDetectionTimeout": "Istio advises against it; declare the Service's port",
    "tcpKeepalive": "set it in DestinationRules, for their hosts",
    **dict.fromkeys(("ingressClass", "ingressService", "ingressControllerMode", "ingressSelector"), _INGRESS),
    **dict.fromkeys(("enableEnvoyAccessLogService", "disableEnvoyListenerLog"), _ENVOY),
    **dict.fromkeys(("inboundTrafficPolicy", "inboundClusterStatName"), _INBOUND),
    "outboundClusterStatName": "metrics are Istio's standard ones, which do not have it",
    "configSources": "the API server and the files of --config are read",
    **dict.fromkeys(
        (
            "enableAutoMtls", "trustDomain", "trustDomainAliases", "caCertificates", "certificates", "ca", "meshMTLS",
            "verifyCertificateAtClient",
        ),
        _IDENTITY,
    ),
    "tlsDefaults": "say it in the tls of DestinationRules and Gateways",
    "dnsRefreshRate": "names are asked for again when their answers end",
    "thriftConfig": "Thrift is relayed as TCP",
    "enablePrometheusMerge": "the agent's metrics have a page of their own; the apps' stay where they are",
    "pathNormalization": "paths are always normalized as by BASE",
    "serviceScopeConfigs": "it is for ambient mode; serviceSettings say what stays in its cluster",
}  # fmt: skip

#: Of defaultConfig what counts; all else of it sets up sidecar containers.
PROXY_FIELDS = frozenset({"gatewayTopology", "tracing", "proxyMetadata"})
_CONTAINERS = "it sets up Istio's own proxies"

#: In proxyMetadata: how Istio's users have its proxies answer DNS.
DNS_CAPTURE = "ISTIO_META_DNS_CAPTURE"

#: Kinds of extensionProviders that there are here, too.
PROVIDERS = frozenset({"name", "envoyFileAccessLog", "opentelemetry", "prometheus"})

#: Files that are everybody's: others are the agent's own, which may have another operator than Istio.
STREAMS = ("/dev/stdout", "/dev/stderr")

#: A text that is longer than a ConfigMap may be.
MAX_TEXT = 2**20


class IstioMesh(msgspec.Struct, frozen=True):
    """What it says of the mesh: the settings, by the JSON names of those that it names; and what was found."""

    spec: MeshConfigSpec
    named: frozenset[str]
    findings: tuple[Finding, ...]


def read_istio_mesh(data: Mapping[str, str]) -> IstioMesh:
    """The ConfigMap's data. What cannot be used of it is left out with a finding, and the rest counts: Istio's operator
    writes it for Istio, and nothing in it can be an error of ours. Paths of findings begin with the key."""
    return _read(data.get(KEY, ""), data.get(NETWORKS_KEY, ""))


@functools.lru_cache(maxsize=4)
def _read(text: str, networks: str) -> IstioMesh:
    findings = Findings()
    inner = Findings()
    wanted = _wanted(_plain(text, inner), inner)
    spec, named = _decoded(wanted, inner)
    findings.items += [msgspec.structs.replace(item, path=(KEY, *item.path)) for item in inner.items]
    inner = Findings()
    found = _plain(networks, inner).get("networks")
    theirs, name = _decoded({"networks": _reachable(found, inner)} if found else {}, inner)
    findings.items += [msgspec.structs.replace(item, path=(NETWORKS_KEY, *item.path)) for item in inner.items]
    return IstioMesh(msgspec.structs.replace(spec, networks=theirs.networks), named | name, tuple(findings.items))


def _reachable(networks: Any, findings: Findings) -> Any:
    """Networks with the gateways that have an address."""
    if not isinstance(networks, dict):
        return networks
    found = {}
    for name, network in networks.items():
        gateways = network.get("gateways") if isinstance(network, dict) else None
        if isinstance(gateways, list):
            kept = []
            for index, gateway in enumerate(gateways):
                if isinstance(gateway, dict) and "address" not in gateway:
                    message = "the gateway has no effect: it has no `address`, by which gateways are dialled here"
                    findings.warning("istio-mesh-config", ("networks", str(name), "gateways", index), message)
                elif isinstance(gateway, dict):
                    kept.append({key: value for key, value in gateway.items() if key != "locality"})
                else:
                    kept.append(gateway)
            network = {**network, "gateways": kept}
        found[str(name)] = network
    return found


def _plain(text: str, findings: Findings) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        findings.warning("istio-mesh-config", (), f"it is longer than {MAX_TEXT} characters, and is not read")
        return {}
    document = next(read(text, NAME), None)
    if document is None:
        return {}
    if isinstance(document, Flaw):
        findings.warning("istio-mesh-config", (), f"it cannot be read: {document.message}")
        return {}
    if not isinstance(document.root.value, dict):
        findings.warning("istio-mesh-config", (), "it is no object; right is for instance `accessLogFile: /dev/stdout`")
        return {}
    return document.root.value


def _wanted(plain: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """The fields that count, and findings on the others."""
    wanted: dict[str, Any] = {}
    for name, value in plain.items():
        if value is None:
            continue
        if name not in SHARED:
            why = REASONS.get(name, "Istio's MeshConfig has no such field that is known here")
            findings.warning("istio-mesh-config", (str(name),), f"`{name}` has no effect: {why}")
        elif name == "defaultConfig" and isinstance(value, dict):
            wanted |= _proxy(value, findings)
        elif name == "extensionProviders" and isinstance(value, list):
            wanted[name] = [each for index, each in enumerate(value) if _is_usable(each, (name, index), findings)]
        elif name == "accessLogFile" and not _is_stream(value, (name,), findings):
            continue
        else:
            wanted[name] = value
    return wanted


def _proxy(config: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """The defaultConfig that counts, and what its metadata say of DNS."""
    others = [str(name) for name in config if name not in PROXY_FIELDS]
    metadata = config.get("proxyMetadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    others += [
        f"proxyMetadata.{name}" for name in metadata if name not in (DNS_CAPTURE, "ISTIO_META_DNS_AUTO_ALLOCATE")
    ]
    tracing = config.get("tracing")
    tracing = tracing if isinstance(tracing, dict) else {}
    others += [f"tracing.{name}" for name in tracing if name != "sampling"]
    for name in others:
        why = "use extensionProviders" if name.startswith("tracing.") else _CONTAINERS
        path = ("defaultConfig", *name.split(".", 1))
        findings.warning("istio-mesh-config", path, f"`defaultConfig.{name}` has no effect: {why}")
    kept = {}
    if config.get("gatewayTopology") is not None:
        kept["gatewayTopology"] = config["gatewayTopology"]
    if "sampling" in tracing:
        kept["tracing"] = {"sampling": tracing["sampling"]}
    wanted: dict[str, Any] = {"defaultConfig": kept} if kept else {}
    if DNS_CAPTURE in metadata:
        wanted["dnsCapture"] = str(metadata[DNS_CAPTURE]).lower() == "true"
    return wanted


def _is_usable(provider: Any, path: Path, findings: Findings) -> bool:
    if not isinstance(provider, dict):
        return True  # what is wrong with it, decoding says
    others = sorted(str(kind) for kind in provider if kind not in PROVIDERS)
    if others:
        message = f"the provider `{provider.get('name')}` has no effect: there is no {', '.join(others)} here"
        findings.warning("istio-mesh-config", path, message)
        return False
    log = provider.get("envoyFileAccessLog")
    if isinstance(log, dict) and not _is_stream(log.get("path"), (*path, "envoyFileAccessLog", "path"), findings):
        return False
    collector = provider.get("opentelemetry")
    http = collector.get("http") if isinstance(collector, dict) else None
    headers = http.get("headers") if isinstance(http, dict) else None
    if any(isinstance(header, dict) and header.get("envName") for header in headers or ()):
        message = (
            f"the provider `{provider.get('name')}` has no effect: `envName` names a variable of Istio's proxies; "
            "define the provider in nodemesh's MeshConfig"
        )
        findings.warning("istio-mesh-config", (*path, "opentelemetry", "http", "headers"), message)
        return False
    return True


def _is_stream(value: Any, path: Path, findings: Findings) -> bool:
    if value in (None, "", *STREAMS):
        return True
    message = (
        f"the file `{value}` has no effect: it is one of a sidecar container; say in nodemesh's MeshConfig which "
        "of the agent's own is meant"
    )
    findings.warning("istio-mesh-config", path, message)
    return False


def _decoded(wanted: dict[str, Any], findings: Findings) -> tuple[MeshConfigSpec, frozenset[str]]:
    """Fields with mistakes are left out. Each is looked at by itself, but for those of the log, which go together."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in wanted.items():
        groups.setdefault("accessLog" if name.startswith("accessLog") else name, {})[name] = value
    good: dict[str, Any] = {}
    for values in groups.values():
        found = Findings()
        spec = decode({"spec": values}, _Whole, (), found)
        if spec is not None:
            check_mesh_config(spec.spec, Meta(name=NAME), found)
        mistakes = [item for item in found.items if item.severity is Severity.ERROR]
        for item in mistakes:
            findings.warning("istio-mesh-config", item.path[1:], f"it does not count: {item.message}")
        if not mistakes:
            good |= values
    whole = decode({"spec": good}, _Whole, (), Findings())
    return (whole.spec, frozenset(good)) if whole is not None else (MeshConfigSpec(), frozenset())


class _Whole(msgspec.Struct, frozen=True):
    spec: MeshConfigSpec
