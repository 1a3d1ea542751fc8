"""Where a gateway stands, by MeshConfig and by its pod's annotation."""

import pytest

from nodemesh.config.proxyconfig import ANNOTATION, MAX_ANNOTATION, ProxyConfig, Topology, merged, read_topology


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        ('{"gatewayTopology": {"numTrustedProxies": 2}}', 2),
        ("gatewayTopology:\n  numTrustedProxies: 1\n", 1),
        ("holdApplicationUntilProxyStarts: true\n", None),
        ("", None),
        ("gatewayTopology: {proxyProtocol: {}}", None),
    ],
)
def test_an_annotation_says_where_the_gateway_stands(text, proxies):
    topology, fault = read_topology({ANNOTATION: text})
    assert not fault and (topology.num_trusted_proxies if topology else None) == proxies


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 1", "no object"),
        ("gatewayTopology: {numTrustedProxies: many}", "gatewayTopology"),
        ("gatewayTopology: {numTrustedProxies: -1}", "gatewayTopology"),
        ("gatewayTopology: {trusted: 1}", "trusted"),
        ("a: {", ""),
        ("x" * (MAX_ANNOTATION + 1), "longer"),
    ],
)
def test_what_cannot_be_read_does_not_count(text, says):
    topology, fault = read_topology({ANNOTATION: text})
    assert topology is None and fault and says in fault


def test_the_pods_own_word_comes_first_field_by_field():
    mesh = ProxyConfig(gateway_topology=Topology(num_trusted_proxies=1, proxy_protocol=None))
    assert merged(mesh, None).num_trusted_proxies == 1
    assert merged(mesh, Topology(num_trusted_proxies=0)).num_trusted_proxies == 0
    both = merged(mesh, read_topology({ANNOTATION: "gatewayTopology: {proxyProtocol: {}}"})[0])
    assert both.num_trusted_proxies == 1 and both.proxy_protocol is not None
    assert merged(None, None) == Topology()
