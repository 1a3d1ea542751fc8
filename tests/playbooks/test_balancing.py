"""Conversations that show which endpoint is chosen: by latency, and in a subset's place."""

from collections import Counter

import pytest

from nodemesh.routing.explain import explain
from nodemesh.routing.question import client_for
from nodemesh.routing.views import Views
from nodemesh.sim import Mesh
from nodemesh.telemetry.labels import endpoint_of

MESH = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default, annotations: {ANNOTATION}}
spec: {clusterIP: 10.96.0.10, selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  POLICY
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
"""

TO_V1 = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec: {hosts: [reviews], http: [{retries: {attempts: 0}, route: [{destination: {host: reviews, subset: v1}}]}]}
"""

EASY = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100, baseEjectionTime: 30s}}"


def mesh(annotation, *more, policy=""):
    return Mesh("".join([MESH.replace("ANNOTATION", annotation).replace("POLICY", policy), *more]))


@pytest.mark.parametrize(("annotation", "avoided"), [("nodemesh.io/load-balancer: PEAK_EWMA", True), ("", False)])
def test_a_slow_endpoint_gets_little_even_if_nothing_is_in_flight(annotation, avoided):
    """One request at a time: by load alone both endpoints are alike."""
    slow = mesh(annotation, policy="trafficPolicy: {connectionPool: {http: {maxRetries: 5}}}")
    slow.upstream("reviews", "v1").answers(after=0.5)
    slow.upstream("reviews", "v2").answers(after=0.02)
    pods = Counter(slow.send("GET http://reviews/").pod for _ in range(100))
    assert (pods["default/reviews-v1"] <= 3) is avoided


def test_one_that_gets_fast_again_gets_its_share_again():
    both = mesh("nodemesh.io/load-balancer: PEAK_EWMA")
    both.upstream("reviews", "v1").answers(after=2.0)
    both.upstream("reviews", "v2").answers(after=0.02)
    both.send_many(20, "GET http://reviews/")
    both.upstream("reviews", "v1").answers(after=0.02)
    pods = Counter()
    for _ in range(200):
        pods[both.send("GET http://reviews/").pod] += 1
        both.advance(0.5)
    assert pods["default/reviews-v1"] > 40


def test_one_that_does_not_answer_counts_as_slow():
    impatient = TO_V1.replace(", subset: v1", "").replace("attempts: 0}", "attempts: 0}, timeout: 1s")
    hanging = mesh("nodemesh.io/load-balancer: PEAK_EWMA", impatient)
    hanging.upstream("reviews", "v1").hangs()
    statuses = Counter(hanging.send("GET http://reviews/").status for _ in range(50))
    assert statuses[504] <= 3 and statuses[200] >= 47


V2_POD = """---
apiVersion: v1
kind: Pod
metadata: {name: reviews-b, namespace: default, labels: {app: reviews, version: v2}}
spec: {}
status: {phase: Running, podIP: 10.1.0.5}
"""

FAILOVER = "nodemesh.io/subset-failover: any"


def test_a_subset_without_pods_is_served_by_the_others():
    answer = mesh(FAILOVER, TO_V1, V2_POD).send("GET http://reviews/")
    assert (answer.status, answer.pod, answer.subset) == (200, "default/reviews-b", "v1")
    refused = mesh("", TO_V1, V2_POD).send("GET http://reviews/")
    assert (refused.status, refused.flags) == (503, "UH")


def test_an_ejected_subset_is_served_by_the_others_until_it_is_back():
    ejected = mesh(FAILOVER, TO_V1, policy=EASY)
    ejected.upstream("reviews", "v1").answers(500, times=1)
    assert ejected.send("GET http://reviews/").status == 500
    after = ejected.send_many(5, "GET http://reviews/")
    assert {answer.pod for answer in after} == {"default/reviews-v2"} and after.statuses == {200: 5}
    ejected.advance(45)
    assert ejected.send("GET http://reviews/").pod == "default/reviews-v1"


def test_explain_says_who_serves():
    for annotation, outcome, addresses in ((FAILOVER, "route", ["10.1.0.5"]), ("", "no_endpoints", [])):
        tables = mesh(annotation, TO_V1, V2_POD).tables
        answer = explain(Views(tables), client_for(tables, "default"), "GET", "http://reviews/")
        assert answer.outcome == outcome
        assert [endpoint.address for endpoint in answer.destinations[0].endpoints] == addresses


def test_metrics_name_the_workload_that_served():
    sent = mesh(FAILOVER, TO_V1, V2_POD)
    answer = sent.send("GET http://reviews/")
    view = Views(sent.tables).for_client(client_for(sent.tables, "default"))
    frontend = view.frontend("10.96.0.10", 80)
    cluster = view.virtual_host(frontend, b"reviews").blocks[0].rows[0].decision.destinations[0].cluster
    assert endpoint_of(cluster, answer.address).workload == "default/reviews-b"
