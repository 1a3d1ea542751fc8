from tests.unit.admin.meshes import PageNode

from nodemesh.admin import pages, sight
from nodemesh.admin.state import EndpointRow
from nodemesh.config.base import Duration
from nodemesh.config.load import load_text
from nodemesh.config.virtualservice import HTTPRetry, HTTPRoute
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views

REVIEWS = "reviews.bookinfo.svc.cluster.local"


def view_of(node: PageNode):
    return node.views.for_client(Client(namespace="bookinfo"))


def test_listeners_say_which_way_and_why():
    rows = {row["host"]: row for row in sight.listeners(view_of(PageNode(5)))}
    assert len(rows) == 5
    assert (rows[REVIEWS]["mode"], rows[REVIEWS]["port"]) == ("proxy", 9080)
    assert "VirtualService" in rows[REVIEWS]["mode_reason"]


def test_clusters_are_those_of_each_subset():
    rows = [row for row in sight.clusters(view_of(PageNode(5))) if row["host"] == REVIEWS]
    assert {row["subset"]: (row["ready"], row["endpoints"]) for row in rows} == {"": (2, 2), "v1": (1, 1), "v3": (1, 1)}
    assert all(row["destination_rule"].startswith("bookinfo/reviews (mesh.yaml:") for row in rows)


def test_routes_are_the_rules_in_their_order_and_the_default_where_there_are_none():
    node = PageNode(5)
    rows = {row["host"]: row for row in sight.routes(view_of(node), node.snapshot)}
    assert (rows[REVIEWS]["virtual_service"], rows[REVIEWS]["rule"]) == ("bookinfo/reviews", "spec.http[0]")
    assert rows[REVIEWS]["clusters"] == [f"outbound|9080|{subset}|{REVIEWS}" for subset in ("v1", "v3")]
    assert rows[REVIEWS]["location"].startswith("mesh.yaml:")
    details = rows["details.bookinfo.svc.cluster.local"]
    assert (details["virtual_service"], details["rule"]) == ("", "default route")
    assert details["clusters"] == ["outbound|9080||details.bookinfo.svc.cluster.local"]


NAMELESS = """
apiVersion: v1
kind: Service
metadata: {name: a, namespace: default}
spec: {ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: default}
spec: {ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: default}
spec: {ports: [{port: 81, name: http}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: default}
spec:
  hosts: [b]
  http: [{timeout: 1s, route: [{destination: {host: b, port: {number: 80}}}]}]
"""


def test_services_without_addresses_are_seen_each():
    """As in a folder in which nobody writes a clusterIP, or ServiceEntries of the world outside."""
    tables = compile_tables(Store().apply("files", load_text(NAMELESS, "mesh.yaml").objects))
    view = Views(tables).for_client(Client(namespace="default"))
    ports = [("a", 80), ("b", 80), ("c", 81)]
    assert tables.snapshot is not None
    for rows in (sight.clusters(view), sight.routes(view, tables.snapshot)):
        assert sorted((row["host"].split(".")[0], row["port"]) for row in rows) == ports
    taken = {(row["host"].split(".")[0], row["port"]): row["addresses"] for row in sight.listeners(view)}
    assert taken == {("a", 80): ["0.0.0.0/0", "::/0"], ("b", 80): ["0.0.0.0/0", "::/0"]}


def test_endpoints_have_their_true_state():
    node = PageNode(5)
    (endpoint,) = [
        row for row in sight.endpoints(view_of(node), {}) if row["service"] == REVIEWS and row["subset"] == "v3"
    ]
    states = {(endpoint["address"], 9080): EndpointRow(host=REVIEWS, in_flight=4, ejected_for=7.0)}
    found = [row for row in sight.endpoints(view_of(node), states) if row["address"] == endpoint["address"]]
    assert {(row["subset"], row["in_flight"], row["ejected_for"]) for row in found} == {("", 4, 7.0), ("v3", 4, 7.0)}


def test_durations_are_shown_as_they_are_written():
    rule = HTTPRoute(timeout=Duration(200), retries=HTTPRetry(attempts=2, per_try_timeout=Duration(90_000)))
    assert pages.as_written(rule) == {"timeout": "0.2s", "retries": {"attempts": 2, "perTryTimeout": "90s"}}
