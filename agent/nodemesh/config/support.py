"""The support table: every field of Istio's kinds, and whether nodemesh acts upon it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import inspect

from .kinds import ISTIO_GROUP, ISTIO_KINDS, UNSUPPORTED
from .schema import walk
from .validate.common import NO_AUTHORITY


class Support(msgspec.Struct, frozen=True):
    """One row: a field (or one value of it, behind `=`), whether it has its effect, and why not or how far."""

    kind: str
    path: str
    supported: bool
    note: str = ""


_FILE = "from the API server: a file below MeshConfig's allowedFolders alone"
_ZONES = (
    "it needs to know how many clients each zone has, and an agent knows those of its node; for the own zone first use "
    "localityLbSetting, or the Service's trafficDistribution: PreferSameZone"
)
_PINNED = "clients are verified by their CA, caCrl and subjectAltNames; certificates that are renewed change their hash"
_REGISTRATION = "istiod makes WorkloadEntries of it for machines with Istio's agent; write the WorkloadEntry yourself"

#: What has no effect: (struct, JSON name) and the reason. All below such a field has none either.
UNSUPPORTED_FIELDS: dict[tuple[str, str], str] = {
    ("HTTPMatchRequest", "statPrefix"): "it names statistics of Envoy's own; Istio's metrics do not have it either",
    ("L4MatchAttributes", "sourceSubnet"): "it has no effect in Istio either",
    ("Abort", "http2Error"): "Istio refuses it as well",
    ("Delay", "exponentialDelay"): "Istio refuses it as well",
    ("OutlierDetection", "consecutiveErrors"): "it has no effect in Istio either; use consecutive5xxErrors",
    ("LoadBalancerSettings", "zoneAwareLbSetting"): _ZONES,
    ("Server", "defaultEndpoint"): "Istio does not use it either",
    ("Port", "targetPort"): "Istio refuses it as well; the gateway's Service has the target port",
    ("ServerTLSSettings", "verifyCertificateSpki"): _PINNED,
    ("ServerTLSSettings", "verifyCertificateHash"): _PINNED,
    ("TLSCertificate", "caCertificates"): "Istio refuses it as well",
    (
        "SidecarSpec",
        "ingress",
    ): "what comes into a pod is not intercepted: let the Service's targetPort be the app's own port, terminate TLS at "
    "a Gateway, and set limits at the clients, in the DestinationRule's connectionPool",
    (
        "SidecarSpec",
        "inboundConnectionPool",
    ): "what comes into a pod is not intercepted: set limits at the clients, in the connectionPool of a "
    "DestinationRule for its host",
    ("IstioEgressListener", "bind"): "the proxy listens where connections are redirected to, not where a Sidecar says",
    ("IstioEgressListener", "captureMode"): "connections are taken over by eBPF at connect()",
    ("SidecarPort", "protocol"): "the imported services' own ports say it, as in Istio where the port is theirs",
    ("SidecarPort", "targetPort"): "Istio refuses it as well",
    ("WorkloadGroupSpec", "metadata"): _REGISTRATION,
    ("WorkloadGroupSpec", "template"): _REGISTRATION,
    (
        "WorkloadGroupSpec",
        "probe",
    ): "Istio's agent on the machine makes these probes; outlierDetection takes out endpoints that fail",
    (
        "WorkloadEntrySpec",
        "serviceAccount",
    ): "it is the identity that Istio's own mutual TLS expects; name those of certificates in subjectAltNames",
    (
        "Tracing",
        "useRequestIdForTraceSampling",
    ): "the decision travels in the fields of traceparent and B3, which all tracers read",
    (
        "CustomTag",
        "formatter",
    ): "Envoy's format strings are for the access log alone; use header, environment or literal",
    ("TelemetryMetrics", "reportingInterval"): "what goes on for long is counted every five seconds",
    ("PolicyTargetReference", "namespace"): "Istio refuses another namespace than the object's own",
    ("PolicyTargetReference", "group"): "of the kinds that can be named no two groups have the same",
}

#: What has its effect, with a word on how far: (struct, JSON name).
NOTES: dict[tuple[str, str], str] = {
    ("TrafficPolicy", "tunnel"): "for connections without HTTP, as in Istio; HTTP/1.1 is spoken to the proxy",
    (
        "TrafficPolicy",
        "proxyProtocol",
    ): "connections of HTTP, which several requests share, name themselves, not a client",
    ("HTTPSettings", "h2UpgradePolicy"): "an undeclared port is spoken to as the client speaks, but from gateways",
    **dict.fromkeys(
        (("HTTPSettings", name) for name in ("maxConcurrentStreams", "http2KeepAlive")),
        "wherever HTTP/2 is spoken; in Istio it is lost with useClientProtocol and on undeclared ports",
    ),
    **dict.fromkeys(
        (
            *(("ClientTLSSettings", name) for name in ("clientCertificate", "privateKey", "caCertificates", "caCrl")),
            *(("ServerTLSSettings", name) for name in ("serverCertificate", "privateKey", "caCertificates", "caCrl")),
            *(("TLSCertificate", name) for name in ("serverCertificate", "privateKey")),
        ),
        _FILE,
    ),
    **dict.fromkeys(
        (("TelemetrySpec", "targetRef"), ("TelemetrySpec", "targetRefs")),
        "Gateways of the Kubernetes Gateway API; there are no waypoints",
    ),
    ("Tracing", "providers"): "opentelemetry of MeshConfig's extensionProviders, which is spoken to over HTTP",
    ("MetricSelector", "customMetric"): "there are Istio's standard metrics alone: nothing is overridden of another",
    ("TelemetryMetrics", "providers"): "prometheus: the agent's own page",
    ("AccessLogging", "providers"): "envoy, and envoyFileAccessLog of MeshConfig's extensionProviders",
    ("LogFilter", "expression"): "the part of CEL that filters are written in (`agent/nodemesh/config/cel.py`)",
    ("TagOverride", "value"): "as the filters of the access log; values are bounded in number and length",
    ("TracingSelector", "mode"): "what is said of SERVER has no effect: spans are those of clients",
    ("LogSelector", "mode"): "what is said of SERVER has no effect: requests are logged where they are sent",
    ("WorkloadEntrySpec", "address"): "unix:// from --expose and gateways alone, below MeshConfig's allowedFolders",
    (
        "ServiceEntrySpec",
        "resolution",
    ): "with DYNAMIC_DNS the address that the client dialled counts; gateways have none",
    ("ServiceEntrySpec", "addresses"): "with MeshConfig's dnsCapture hosts without any get some, as from Istio",
    **dict.fromkeys(
        (("ServerTLSSettings", name) for name in ("credentialName", "credentialNames")),
        "a Secret in the gateway workload's namespace",
    ),
    (
        "ServerTLSSettings",
        "caCertCredentialName",
    ): "a Secret in the gateway workload's namespace, or a ConfigMap as configmap://NAMESPACE/NAME",
    (
        "ClientTLSSettings",
        "credentialName",
    ): "a Secret in the client's namespace (in a cluster, pods need a workloadSelector, and their agent the right), or "
    "with SIMPLE a ConfigMap in the rule's, as configmap://NAMESPACE/NAME",
    ("ServerTLSSettings", "insecureSkipVerify"): "a client's certificate that cannot be verified is always refused",
    ("ConsistentHashLB", "minimumRingSize"): "deprecated; use ringHash.minimumRingSize",
    **dict.fromkeys((("Port", "name"), ("Server", "name"), ("SidecarPort", "name")), "a name for people"),
}

#: Values that have no effect where their fields have: (struct, JSON name, value) and the reason.
UNSUPPORTED_VALUES: dict[tuple[str, str, str], str] = {
    ("ClientTLSSettings", "mode", "ISTIO_MUTUAL"): NO_AUTHORITY,
    ("ServerTLSSettings", "mode", "ISTIO_MUTUAL"): NO_AUTHORITY,
}

#: Fields that are no part of a spec, and the fields of kinds that are set aside whole.
OTHERS: tuple[Support, ...] = (
    *(
        Support("ServiceEntry", f"status.{name}", True, "written where MeshConfig's enableStatus asks for it")
        for name in ("conditions", "validationMessages", "observedGeneration")
    ),
    *(
        Support("ServiceEntry", f"status.{name}", True, "read where Istio's control plane has allocated them")
        for name in ("addresses", "addresses[].value", "addresses[].host")
    ),
    *(
        Support("ProxyConfig", f"spec.{name}", False, why)
        for name, why in (
            ("selector", UNSUPPORTED[ISTIO_GROUP, "ProxyConfig"]),
            ("concurrency", "one proxy serves the node: --workers of the agent, or of a gateway's Deployment"),
            ("environmentVariables", "the agent's are those of its DaemonSet, a gateway's those of its Deployment"),
            ("image", "the agent's is that of its DaemonSet, a gateway's that of its Deployment"),
            ("image.imageType", "the agent's is that of its DaemonSet, a gateway's that of its Deployment"),
        )
    ),
)


def rows() -> tuple[Support, ...]:
    """The whole table, kind by kind, in the order of the API."""
    return (*(row for kind in ISTIO_KINDS for row in _rows(kind.name, kind.spec)), *OTHERS)


def _rows(kind: str, spec: type[msgspec.Struct]) -> Iterator[Support]:
    cut: tuple[str, str] | None = None  # the last unsupported field, and why: what stands below shares it
    for path, struct, name, type_ in walk(spec):
        if cut is not None and path.startswith((f"{cut[0]}.", f"{cut[0]}[", f"{cut[0]}{{")):
            yield Support(kind, path, False, cut[1])
            continue
        reason = UNSUPPORTED_FIELDS.get((struct, name))
        cut = (path, reason) if reason is not None else None
        yield Support(kind, path, reason is None, reason or NOTES.get((struct, name), ""))
        if reason is None and isinstance(type_, inspect.EnumType):
            for value in type_.cls:
                why = UNSUPPORTED_VALUES.get((struct, name, str(value.value)))
                if why is not None:
                    yield Support(kind, f"{path}={value.value}", False, why)


def support_markdown() -> str:
    """The page `manifests/SUPPORT.md`."""
    table = rows()
    fields = [row for row in table if "=" not in row.path]
    supported = sum(row.supported for row in fields)
    lines = [
        "# What nodemesh supports of Istio's traffic API",
        "",
        "Generated from the code (`agent/nodemesh/config/support.py`); a test keeps it in step.",
        "",
        f"{supported} of {len(fields)} fields have their effect. A field without effect is accepted and judged by",
        "Istio's rules all the same, so the same YAML serves both.",
        "",
        "## Kinds without effect",
        "",
        "| API group | kind | why |",
        "|---|---|---|",
        *(f"| `{group}` | {kind} | {reason} |" for (group, kind), reason in sorted(UNSUPPORTED.items())),
    ]
    for kind in dict.fromkeys(row.kind for row in table):
        lines += ["", f"## {kind}", "", "| field | supported | note |", "|---|---|---|"]
        for row in table:
            if row.kind == kind:
                lines.append(f"| `{row.path}` | {'yes' if row.supported else '**no**'} | {row.note} |")
    return "\n".join(lines) + "\n"
