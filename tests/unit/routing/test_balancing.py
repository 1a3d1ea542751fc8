"""How endpoints are chosen among: what the Service's annotations add to its DestinationRule."""

import pytest
from tests.meshes import make, pod, request, service, view_of

from nodemesh.config.load import load_text
from nodemesh.routing.decision import Algorithm
from nodemesh.routing.frontend import Mode

PEAK = {"nodemesh.io/load-balancer": "PEAK_EWMA"}
ANY = {"nodemesh.io/subset-failover": "any"}
SUBSETS = [{"name": "v1", "labels": {"version": "v1"}}, {"name": "v2", "labels": {"version": "v2"}}]


def view(policy=None, *, annotations=PEAK, subsets=(), port="http", pods=()):
    spec = {"host": "web", "subsets": list(subsets)}
    if policy is not None:
        spec["trafficPolicy"] = policy
    route = {"route": [{"destination": {"host": "web", **({"subset": "v1"} if subsets else {})}}]}
    rules = make("VirtualService", "web", {"hosts": ["web"], "http": [route]})
    web = service("web", "10.96.0.1", (80, port), annotations=annotations, selector={"app": "web"})
    return view_of(web, make("DestinationRule", "web", spec), *pods, *([rules] if subsets else []))


def cluster(*arguments, **options):
    found = view(*arguments, **options)
    decision = found.http(found.frontend("10.96.0.1", 80), request(host="web"))
    return decision.destinations[0].cluster


def web_pod(number, version):
    return pod(f"web-{number}", f"10.1.0.{number}", {"app": "web", "version": version})


@pytest.mark.parametrize(
    ("policy", "algorithm"),
    [
        (None, Algorithm.PEAK_EWMA),
        ({"loadBalancer": {"simple": "LEAST_REQUEST"}}, Algorithm.PEAK_EWMA),
        ({"loadBalancer": {"warmup": {"duration": 9}}}, Algorithm.PEAK_EWMA),
        ({"loadBalancer": {"simple": "ROUND_ROBIN"}}, Algorithm.ROUND_ROBIN),
        ({"loadBalancer": {"simple": "RANDOM"}}, Algorithm.RANDOM),
        ({"loadBalancer": {"consistentHash": {"useSourceIp": True}}}, Algorithm.RING_HASH),
    ],
)
def test_peak_ewma_stands_for_istios_default_alone(policy, algorithm):
    assert cluster(policy).load_balancer.algorithm is algorithm
    assert cluster(policy, annotations={}).load_balancer.algorithm is not Algorithm.PEAK_EWMA


def test_warmup_stays():
    assert cluster({"loadBalancer": {"warmup": {"duration": 9}}}).load_balancer.warmup.duration == 9.0


def test_connections_without_requests_have_no_latency():
    assert cluster(port="tcp").load_balancer.algorithm is Algorithm.LEAST_REQUEST


def test_it_takes_the_proxy_and_says_so():
    frontend = view().frontend("10.96.0.1", 80)
    assert frontend.mode is Mode.PROXY
    assert "nodemesh.io/load-balancer of Service default/web is PEAK_EWMA" in frontend.mode_reason
    assert view(annotations={}).frontend("10.96.0.1", 80).mode is Mode.KERNEL
    assert view(port="tcp").frontend("10.96.0.1", 80).mode is Mode.KERNEL


def test_a_subset_has_the_other_endpoints_in_reserve_where_the_service_says_so():
    pods = [web_pod(1, "v1"), web_pod(2, "v2"), web_pod(3, "v3")]
    found = cluster(annotations=ANY, subsets=SUBSETS, pods=pods)
    assert [endpoint.address for endpoint in found.endpoints] == ["10.1.0.1"]
    assert [endpoint.address for endpoint in found.reserve] == ["10.1.0.2", "10.1.0.3"]
    assert cluster(annotations={}, subsets=SUBSETS, pods=pods).reserve is None
    none = {"nodemesh.io/subset-failover": "none"}
    assert cluster(annotations=none, subsets=SUBSETS, pods=pods).reserve is None
    assert cluster(annotations=ANY, pods=pods).reserve is None


def test_subsets_that_fail_over_take_the_proxy():
    of_tcp = view(annotations=ANY, port="tcp", subsets=SUBSETS).frontend("10.96.0.1", 80)
    assert of_tcp.mode is Mode.PROXY and "nodemesh.io/subset-failover" in of_tcp.mode_reason
    assert view(annotations=ANY, port="tcp").frontend("10.96.0.1", 80).mode is Mode.KERNEL


@pytest.mark.parametrize("kind", ["Service", "ServiceEntry"])
def test_other_values_are_told(kind):
    api, spec = {
        "Service": ("v1", "{ports: [{port: 80}]}"),
        "ServiceEntry": (
            "networking.istio.io/v1",
            "{hosts: [a.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}",
        ),
    }[kind]
    text = f"apiVersion: {api}\nkind: {kind}\nmetadata:\n  name: web\n  annotations: {{ANNOTATION}}\nspec: {spec}\n"
    for annotation in ("nodemesh.io/load-balancer: peak", "nodemesh.io/subset-failover: v1"):
        (problem,) = load_text(text.replace("ANNOTATION", annotation), "mesh.yaml").problems
        assert problem.code == "bad-annotation" and "which has no effect so" in problem.message
