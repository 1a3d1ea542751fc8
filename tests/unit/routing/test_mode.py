import pytest
from tests.meshes import make, pod, service, view_of

from nodemesh.config.meshconfig import FailurePolicy
from nodemesh.routing.frontend import Mode


def web(port="http", **annotations):
    return service("web", "10.96.0.1", (80, port), annotations={f"nodemesh.io/{k}": v for k, v in annotations.items()})


def policy(**policy):
    return make("DestinationRule", "web", {"host": "web", "trafficPolicy": policy})


def rules(**spec):
    return make("VirtualService", "web", {"hosts": ["web"], **spec})


POD = pod("p", "10.1.0.1", {"app": "web"})
UPGRADED = make("MeshConfig", "m", {"h2UpgradePolicy": "UPGRADE"})
MESH_POLICY = make("MeshConfig", "m", {"defaultTrafficPolicy": {"outlierDetection": {}}})
TO_WEB = {"route": [{"destination": {"host": "web"}}]}


def frontend(*objects, address="10.96.0.1", port=80):
    return view_of(POD, *objects).frontend(address, port)


@pytest.mark.parametrize(
    ("objects", "mode", "reason"),
    [
        ([web()], Mode.KERNEL, "no rule needs L7"),
        ([web("tcp")], Mode.KERNEL, "no rule needs L7"),
        ([web(), rules(http=[TO_WEB])], Mode.PROXY, "VirtualService default/web has HTTP rules"),
        ([web(""), rules(http=[TO_WEB])], Mode.PROXY, "VirtualService default/web has HTTP rules"),
        ([web("tcp"), rules(http=[TO_WEB])], Mode.KERNEL, "no rule needs L7"),
        ([web("tcp"), rules(tcp=[TO_WEB])], Mode.KERNEL, "no rule needs L7"),
        (
            [web("tcp"), rules(tcp=[{"match": [{"destinationSubnets": ["10.0.0.0/8"]}], **TO_WEB}])],
            Mode.PROXY,
            "VirtualService default/web matches subnets",
        ),
        ([web("https"), rules(tls=[{"match": [{"sniHosts": ["web"]}], **TO_WEB}])], Mode.PROXY, "has TLS rules"),
        ([web(), policy(outlierDetection={})], Mode.PROXY, "DestinationRule default/web asks for outlier detection"),
        ([web(), policy(tls={"mode": "SIMPLE"})], Mode.PROXY, "asks for TLS origination"),
        ([web(), policy(tls={"mode": "ISTIO_MUTUAL"})], Mode.KERNEL, "no rule needs L7"),
        ([web(), policy(connectionPool={"tcp": {"maxConnections": 1}})], Mode.PROXY, "connection pool settings"),
        ([web(), policy(loadBalancer={"simple": "RANDOM"})], Mode.KERNEL, "no rule needs L7"),
        ([web(), policy(loadBalancer={"consistentHash": {"useSourceIp": True}})], Mode.PROXY, "a consistent hash"),
        ([web("grpc")], Mode.PROXY, "the port is declared GRPC, whose streams are balanced one by one"),
        ([web("grpc-web")], Mode.PROXY, "the port is declared GRPC-WEB"),
        ([web("http2")], Mode.PROXY, "the port is declared HTTP2"),
        ([web("grpc"), rules(http=[TO_WEB])], Mode.PROXY, "VirtualService default/web has HTTP rules"),
        ([web("grpc", l7="never")], Mode.KERNEL, "nodemesh.io/l7 of Service default/web is never"),
        ([web("grpc", l7="auto")], Mode.PROXY, "the port is declared GRPC"),
        ([web("")], Mode.KERNEL, "no rule needs L7"),
        ([web(), UPGRADED], Mode.PROXY, "MeshConfig's h2UpgradePolicy is UPGRADE"),
        ([web("tcp"), UPGRADED], Mode.KERNEL, "no rule needs L7"),
        ([web(""), UPGRADED], Mode.KERNEL, "no rule needs L7"),
        ([web("tcp"), MESH_POLICY], Mode.PROXY, "MeshConfig's defaultTrafficPolicy asks for outlier detection"),
        (
            [web(), MESH_POLICY, policy(tls={"mode": "ISTIO_MUTUAL"})],
            Mode.PROXY,
            "MeshConfig's defaultTrafficPolicy asks",
        ),
        ([web(), MESH_POLICY, policy(tls={"mode": "SIMPLE"})], Mode.PROXY, "DestinationRule default/web asks for TLS"),
        ([web(l7="never"), MESH_POLICY], Mode.KERNEL, "is never"),
        ([web(l7="always")], Mode.PROXY, "nodemesh.io/l7 of Service default/web is always"),
        ([web(l7="never"), rules(http=[TO_WEB])], Mode.KERNEL, "nodemesh.io/l7 of Service default/web is never"),
        ([web(), make("MeshConfig", "m", {"l7": "always"})], Mode.PROXY, "MeshConfig's l7 is always"),
        ([web(l7="auto"), make("MeshConfig", "m", {"l7": "always"})], Mode.KERNEL, "no rule needs L7"),
    ],
)
def test_mode_and_its_reason(objects, mode, reason):
    found = frontend(*objects)
    assert found.mode is mode and reason in found.mode_reason
    assert (found.tcp is not None) is (mode is Mode.KERNEL)


def test_the_kernels_decision_follows_the_tcp_rules():
    other = service("other", "10.96.0.2", (80, "tcp"), selector={"app": "web"})
    split = [{"destination": {"host": "web"}, "weight": 9}, {"destination": {"host": "other"}, "weight": 1}]
    found = frontend(web("tcp"), other, rules(tcp=[{"route": split}]))
    assert [(entry.cluster.service, entry.weight) for entry in found.tcp.destinations] == [("web", 9), ("other", 1)]


def test_headless_services_pass_unless_rules_apply():
    headless = service("web", "None", (80, "http"))
    view = view_of(POD, headless)
    (found,) = view.frontends()
    assert (found.mode, found.addresses, found.port) == (Mode.PASS, ("10.1.0.1",), 80)
    (found,) = view_of(POD, headless, rules(http=[TO_WEB])).frontends()
    assert found.mode is Mode.PROXY


def test_an_endpoint_dialled_directly_passes_unless_rules_apply():
    assert frontend(web(), address="10.1.0.1").mode is Mode.PASS
    assert frontend(web(), rules(http=[TO_WEB]), address="10.1.0.1").mode is Mode.PROXY


def test_an_endpoints_own_port_leads_to_the_service_port():
    moved = make(
        "Service",
        "web",
        {
            "clusterIP": "10.96.0.1",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "name": "http", "targetPort": 81}],
        },
    )
    found = frontend(moved, address="10.1.0.1", port=81)
    assert (found.port, found.service_port, found.logical_port) == (81, 80, 80)


def test_udp_is_left_alone_and_host_names_need_the_proxy():
    ports = [{"port": 53, "name": "dns", "protocol": "UDP"}]
    assert frontend(make("Service", "web", {"clusterIP": "10.96.0.1", "ports": ports}), port=53).mode is Mode.PASS
    entry = make(
        "ServiceEntry",
        "e",
        {
            "hosts": ["db.example.com"],
            "addresses": ["10.97.0.1"],
            "ports": [{"number": 5432, "name": "tcp", "protocol": "TCP"}],
            "resolution": "DNS",
        },
    )
    found = frontend(entry, address="10.97.0.1", port=5432)
    assert found.mode is Mode.PROXY and "host names" in found.mode_reason


def test_unknown_addresses_pass_or_are_the_proxys_to_refuse():
    assert frontend(address="192.0.2.1").mode is Mode.PASS
    only = make("MeshConfig", "m", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    found = frontend(only, address="192.0.2.1")
    assert found.mode is Mode.PROXY and "REGISTRY_ONLY" in found.mode_reason
    assert list(view_of(web()).frontends())[1:] == []
    everywhere, loopback = list(view_of(web(), only).frontends())[1:]
    assert (everywhere.addresses, everywhere.port, everywhere.mode) == (("0.0.0.0/0", "::/0"), 0, Mode.PROXY)
    assert (loopback.addresses, loopback.port, loopback.mode) == (("127.0.0.0/8", "::1/128"), 0, Mode.PASS)


def test_failure_policy_is_the_services_own_else_the_meshs():
    closed = make("MeshConfig", "m", {"failurePolicy": "closed"})
    assert frontend(web()).failure_policy is FailurePolicy.OPEN
    assert frontend(web(), closed).failure_policy is FailurePolicy.CLOSED
    assert frontend(web(**{"failure-policy": "open"}), closed).failure_policy is FailurePolicy.OPEN


def test_hosts_that_clients_resolve_themselves_have_frontends_once_resolved():
    port = {"number": 5432, "name": "db", "protocol": "TCP"}
    entry = make("ServiceEntry", "e", {"hosts": ["ext.example.com"], "ports": [port], "resolution": "DNS"})
    rule = make("DestinationRule", "ext", {"host": "ext.example.com", "trafficPolicy": {"outlierDetection": {}}})
    view = view_of(entry, rule)
    assert list(view.frontends()) == []
    (found,) = view.frontends({"ext.example.com": ("192.0.2.1", "192.0.2.2")})
    assert (found.addresses, found.port, found.mode) == (("192.0.2.1", "192.0.2.2"), 5432, Mode.PROXY)


def test_where_names_are_told_any_address_may_be_dialled_if_a_rule_needs_the_proxy():
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    entry = make("ServiceEntry", "e", {"hosts": ["*.example.com"], "ports": [port], "resolution": "NONE"})
    assert list(view_of(entry).frontends()) == []
    rule = make("VirtualService", "ext", {"hosts": ["*.example.com"], "http": [{"redirect": {"uri": "/"}}]})
    everywhere, loopback = view_of(entry, rule).frontends()
    assert (everywhere.addresses, everywhere.port, everywhere.mode) == (("0.0.0.0/0", "::/0"), 80, Mode.PROXY)
    assert (loopback.addresses, loopback.port, loopback.mode) == (("127.0.0.0/8", "::1/128"), 80, Mode.PASS)


def test_a_frontend_names_the_rules_that_only_http_meets():
    assert frontend(web(), rules(http=[TO_WEB])).http_rules == "default/web"
    assert frontend(web(""), rules(http=[TO_WEB])).http_rules == "default/web"
    assert frontend(web("tcp"), rules(http=[TO_WEB])).http_rules == ""
    assert frontend(web(), rules(tcp=[TO_WEB])).http_rules == ""


@pytest.mark.parametrize(
    ("objects", "yields"),
    [
        ([web()], True),
        ([web("tcp"), rules(tcp=[TO_WEB])], True),
        ([web(l7="auto")], True),
        ([web(l7="never")], False),
        ([web(), make("MeshConfig", "m", {"l7": "never"})], False),
        ([web(l7="auto"), make("MeshConfig", "m", {"l7": "never"})], True),
        ([web(l7="always")], False),
        (
            [
                make(
                    "Service", "web", {"clusterIP": "10.96.0.1", "ports": [{"port": 80}], "sessionAffinity": "ClientIP"}
                )
            ],
            False,
        ),
    ],
)
def test_what_the_proxy_may_have_for_a_while(objects, yields):
    found = frontend(*objects)
    assert found.yields is yields
    assert found.kernel_hosts == ({"web.default.svc.cluster.local"} if yields else set())
