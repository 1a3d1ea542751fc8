import time

import msgspec
from tests.unit.admin.meshes import PageNode

from nodemesh.admin import picture
from nodemesh.config.load import load_text
from nodemesh.config.meta import Location
from nodemesh.config.problems import Problem
from nodemesh.telemetry.histogram import BOUNDS
from nodemesh.telemetry.history import FlowCounts

REVIEWS = "service/bookinfo/reviews"


def drawn(node: PageNode, namespace: str = "") -> dict:
    problem = Problem(code="x", message="y", location=Location(), namespace="bookinfo", name="ratings")
    ejected = {"reviews.bookinfo.svc.cluster.local": 1}
    flows = node.history.between(0.0, 1e12)
    return picture.draw(flows, 70.0, node.snapshot, node.mode, ejected, [problem], namespace)


def test_edges_have_rates_shares_and_what_rules_wish():
    found = drawn(PageNode(5))
    edges = {(edge["source"], edge["target"]): edge for edge in found["edges"]}
    split = edges["service/bookinfo/productpage", REVIEWS]
    assert split["rps"] == 10.0 and split["failing"] == 0.0 and split["p50_ms"] < split["p99_ms"]
    shares = {row["version"]: (row["wished"], round(row["share"], 1)) for row in split["versions"]}
    assert shares == {"v1": (0.9, 0.9), "v3": (0.1, 0.1)}
    assert split["wished_by"]["rule"] == "bookinfo/reviews spec.http[0]"
    assert split["wished_by"]["location"].startswith("mesh.yaml:")
    broken = edges[REVIEWS, "service/bookinfo/ratings"]
    assert 0.1 < broken["failing"] < 0.3 and broken["clients"] == ["bookinfo/reviews-v1"]
    assert {row["code"] for row in broken["codes"]} == {"200", "503"}


def test_rates_are_by_the_time_since_the_rules_changed():
    node = PageNode(5)
    host, now = "reviews.bookinfo.svc.cluster.local", time.time()
    node.history.renew([host], now)
    node.tick(now + 5.0, 20)
    flows = node.history.between(0.0, now + 10.0)
    found = picture.draw(flows, 80.0, node.snapshot, node.mode, {}, [])
    edge = {edge["target"]: edge for edge in found["edges"]}[REVIEWS]
    assert (edge["requests"], edge["rps"], edge["since_change"]) == (200, 20.0, 10.0)
    whole = {edge["target"]: edge for edge in found["edges"]}["service/bookinfo/details"]
    assert whole["requests"] > 200 and whole["since_change"] is None
    past = picture.draw(flows, 80.0, node.snapshot, node.mode, {}, [], other_rules={host})
    edge = {edge["target"]: edge for edge in past["edges"]}[REVIEWS]
    assert edge["wished_by"] is None, "what is wished today was not wished then"


MIRROR = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: bookinfo}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1}}]
    mirror: {host: reviews, subset: v3}
"""


def test_what_a_mirror_gets_is_beside_the_requests_and_not_among_them():
    node = PageNode(5)
    before = {edge["target"]: edge for edge in drawn(node)["edges"]}[REVIEWS]
    key = "bookinfo/reviews"
    (rule,) = load_text(MIRROR, "mirror.yaml").objects
    node.snapshot = msgspec.structs.replace(
        node.snapshot, virtual_services={**node.snapshot.virtual_services, key: rule}
    )
    edge = {edge["target"]: edge for edge in drawn(node)["edges"]}[REVIEWS]
    rows = {row["version"]: row for row in edge["versions"]}
    assert (
        edge["requests"] == rows["v1"]["requests"] < before["requests"] == sum(row["requests"] for row in rows.values())
    )
    assert {version: (row["mirror"], row["wished"]) for version, row in rows.items()} == {
        "v1": (False, None), "v3": (True, None)
    }  # fmt: skip
    assert rows["v1"]["share"] == 1.0 and 0.05 < rows["v3"]["share"] < 0.2
    own = MIRROR.replace("  http:\n", "  http:\n  - match: [{uri: {prefix: /v3}}]\n    "
                         "route: [{destination: {host: reviews, subset: v3}}]\n")  # fmt: skip
    (rule,) = load_text(own, "mirror.yaml").objects
    node.snapshot = msgspec.structs.replace(
        node.snapshot, virtual_services={**node.snapshot.virtual_services, key: rule}
    )
    edge = {edge["target"]: edge for edge in drawn(node)["edges"]}[REVIEWS]
    assert edge["requests"] == before["requests"], "a version with requests of its own counts as one"


def test_requests_that_reach_no_version_change_no_versions_share():
    """Else half of all aborted would look like a canary that gets too little."""
    node = PageNode(5)
    flows = node.history.between(0.0, 1e12)
    way = next(way for way in flows if way.service == "reviews")
    aborted = flows[way._replace(answered="unknown", version="unknown")] = FlowCounts()
    aborted.requests = aborted.errors = sum(flow.requests for way, flow in flows.items() if way.service == "reviews")
    found = picture.draw(flows, 70.0, node.snapshot, node.mode, {}, [])
    edge = {edge["target"]: edge for edge in found["edges"]}[REVIEWS]
    assert edge["failing"] == 0.5 and abs(sum(row["share"] for row in edge["versions"]) - 1.0) < 0.001
    assert {row["version"]: round(row["share"], 1) for row in edge["versions"]} == {"v1": 0.9, "v3": 0.1}


def test_nodes_have_modes_endpoints_and_problems():
    nodes = {node["id"]: node for node in drawn(PageNode(5))["nodes"]}
    assert nodes[REVIEWS]["endpoints"] == {"ready": 2, "total": 2, "ejected": 1}
    assert nodes[REVIEWS]["versions"] == ["v1", "v3"]
    assert nodes[REVIEWS]["modes"][0]["mode"] == "proxy" and nodes[REVIEWS]["modes"][0]["why"]
    assert nodes["service/bookinfo/ratings"]["problems"] == 1
    assert not [node for node in nodes if node.startswith("workload/")], "callers are drawn as their services"


def test_a_namespace_is_what_has_an_end_in_it():
    found = drawn(PageNode(50), "bookinfo")
    assert found["edges"]
    assert all("bookinfo" in edge["source"] or "bookinfo" in edge["target"] for edge in found["edges"])


def test_quantiles_lie_within_their_bucket():
    counts = [0] * (len(BOUNDS) + 1)
    assert picture.quantile(counts, 0.5) is None
    counts[3], counts[4] = 50, 50  # to 10 ms, to 25 ms
    assert picture.quantile(counts, 0.5) == 10.0
    assert picture.quantile(counts, 0.99) == 24.7
    counts[-1] = 1000
    assert picture.quantile(counts, 0.99) == BOUNDS[-1]
