"""Istio's mesh config, as its installation writes it: what counts, and what is said of the rest."""

import pytest

from nodemesh.config.istiomesh import REASONS, SHARED, read_istio_mesh
from nodemesh.config.load import load_text
from nodemesh.config.meshconfig import MeshConfigSpec, MeshH2UpgradePolicy, MeshOutboundMode
from nodemesh.config.problems import Severity

#: What `istioctl install` writes (its default profile), and settings that users add.
INSTALLED = """
defaultConfig:
  discoveryAddress: istiod.istio-system.svc:15012
  gatewayTopology: {numTrustedProxies: 2}
  tracing: {sampling: 5, zipkin: {address: zipkin:9411}}
  proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true", ISTIO_META_DNS_AUTO_ALLOCATE: "true"}
defaultProviders: {metrics: [prometheus]}
enablePrometheusMerge: true
extensionProviders:
  - {name: otel, envoyOtelAls: {service: collector.observability.svc.cluster.local, port: 4317}}
  - {name: traces, opentelemetry: {service: collector.observability.svc.cluster.local, port: 4318}}
rootNamespace: istio-config
trustDomain: cluster.local
outboundTrafficPolicy: {mode: REGISTRY_ONLY}
connectTimeout: 3s
h2UpgradePolicy: UPGRADE
accessLogFile: /dev/stdout
accessLogEncoding: JSON
accessLogFormat: '{"code": "%RESPONSE_CODE%"}'
"""


def read(text, networks=""):
    return read_istio_mesh({"mesh": text, "meshNetworks": networks})


def messages(text):
    found = read(text).findings
    assert all(item.path[0] == "mesh" for item in found)
    return {".".join(map(str, item.path[1:])): item.message for item in found}


def test_what_an_installation_writes_counts():
    mesh = read(INSTALLED)
    spec = mesh.spec
    assert spec.root_namespace == "istio-config" and spec.connect_timeout == 3000 and spec.dns_capture
    assert spec.outbound_traffic_policy.mode is MeshOutboundMode.REGISTRY_ONLY
    assert spec.h2_upgrade_policy is MeshH2UpgradePolicy.UPGRADE
    assert spec.default_config.gateway_topology.num_trusted_proxies == 2 and spec.default_config.tracing.sampling == 5
    assert (spec.access_log_file, spec.access_log_encoding) == ("/dev/stdout", "JSON")
    assert [provider.name for provider in spec.extension_providers] == ["traces"]
    assert spec.default_providers.metrics == ("prometheus",)
    assert mesh.named == {
        "rootNamespace", "connectTimeout", "dnsCapture", "outboundTrafficPolicy", "h2UpgradePolicy", "defaultConfig",
        "accessLogFile", "accessLogEncoding", "accessLogFormat", "extensionProviders", "defaultProviders",
    }  # fmt: skip


def test_what_has_no_effect_is_named_once_with_the_reason():
    found = messages(INSTALLED)
    assert found == {
        "defaultConfig.discoveryAddress":
            "`defaultConfig.discoveryAddress` has no effect: it sets up Istio's own proxies",
        "defaultConfig.tracing.zipkin": "`defaultConfig.tracing.zipkin` has no effect: use extensionProviders",
        "enablePrometheusMerge": f"`enablePrometheusMerge` has no effect: {REASONS['enablePrometheusMerge']}",
        "extensionProviders.0": "the provider `otel` has no effect: there is no envoyOtelAls here",
        "trustDomain": f"`trustDomain` has no effect: {REASONS['trustDomain']}",
    }  # fmt: skip
    assert all(item.severity is Severity.WARNING for item in read(INSTALLED).findings)


def test_every_field_is_either_shared_or_has_a_reason():
    assert not SHARED & REASONS.keys() and all(REASONS.values())


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("connectTimeout: soon\nrootNamespace: a", "connectTimeout", "a duration is a number"),
        ("connectTimeout: 0s\nrootNamespace: a", "connectTimeout", ""),
        ("outboundTrafficPolicy: {mode: SOMETIMES}\nrootNamespace: a", "outboundTrafficPolicy.mode", "SOMETIMES"),
        ("defaultConfig: {gatewayTopology: {hops: 1}}\nrootNamespace: a", "defaultConfig.gatewayTopology.hops", "hops"),
        ("frobnicate: 1\nrootNamespace: a", "frobnicate", "no such field"),
    ],
)
def test_a_mistake_costs_its_field_alone(text, path, message):
    mesh = read(text)
    assert mesh.spec == MeshConfigSpec(root_namespace="a") and mesh.named == {"rootNamespace"}
    assert list(messages(text)) == [path] and message in messages(text)[path]


@pytest.mark.parametrize("text", ["", "# nothing\n", "null"])
def test_nothing_says_nothing(text):
    mesh = read(text)
    assert (mesh.spec, mesh.named, mesh.findings) == (MeshConfigSpec(), frozenset(), ())


@pytest.mark.parametrize(("text", "word"), [("a: [", "cannot be read"), ("- a", "no object"), ("x" * 2**21, "longer")])
def test_what_is_no_mesh_config_at_all_is_said(text, word):
    mesh = read(text)
    assert mesh.spec == MeshConfigSpec() and word in mesh.findings[0].message


@pytest.mark.parametrize(
    "text",
    [
        "accessLogFile: /etc/passwd",
        "extensionProviders: [{name: a, envoyFileAccessLog: {path: /etc/passwd}}]",
        "extensionProviders: [{name: a, opentelemetry: {service: c.d, port: 1, http: {path: /, headers: "
        "[{name: x, envName: TOKEN}]}}}]",
    ],
)
def test_it_reaches_nothing_of_the_agents_own(text):
    mesh = read(text)
    assert mesh.spec == MeshConfigSpec(extension_providers=()) and len(mesh.findings) == 1


NETWORKS = """
networks:
  east:
    endpoints: [{fromRegistry: cluster-east}]
    gateways:
      - {address: 203.0.113.7, port: 15443, locality: east/a}
      - {registryServiceName: gw.istio-system.svc.cluster.local, port: 15443}
"""


def test_networks_beside_it_count_too():
    mesh = read("rootNamespace: a", NETWORKS)
    (gateway,) = mesh.spec.networks["east"].gateways
    assert (gateway.address, gateway.port, mesh.spec.root_namespace) == ("203.0.113.7", 15443, "a")
    assert mesh.named == {"rootNamespace", "networks"}
    (found,) = mesh.findings
    assert found.path == ("meshNetworks", "networks", "east", "gateways", 1) and "no `address`" in found.message


@pytest.mark.parametrize("text", ["networks: {}", "networks:", ""])
def test_no_networks_say_nothing_of_networks(text):
    assert read("", text) == read("")


@pytest.mark.parametrize(
    "text", ["networks: 5", "networks: {a: {gateways: [{address: here, port: 1}]}}", "networks: {a: 5}"]
)
def test_networks_with_a_mistake_are_left_out_with_a_word(text):
    mesh = read("", text)
    assert not mesh.named and not mesh.spec.networks and [item.path[0] for item in mesh.findings] == ["meshNetworks"]


CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    trustDomain: a
    rootNamespace: b
"""


def test_findings_stand_at_the_config_maps_key():
    loaded = load_text(CONFIG_MAP, "istio.yaml")
    (problem,) = loaded.problems
    assert (problem.code, problem.path) == ("istio-mesh-config", "data.mesh.trustDomain")
    assert (problem.location.line, problem.refused, len(loaded.objects)) == (5, False, 1)


def test_of_revisions_it_is_said_that_they_do_not_count():
    (problem,) = load_text(CONFIG_MAP.replace("name: istio,", "name: istio-1-27,"), "istio.yaml").problems
    assert "istio-system/istio counts" in problem.message
