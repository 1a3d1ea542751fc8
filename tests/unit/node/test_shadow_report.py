"""What a shadow's report adds to the counts: places that it cannot see, and both sides' account of a sample."""

from tests.written import views_of

from nodemesh.node.shadow_report import sample_of, ways_of
from nodemesh.routing.client import Client
from nodemesh.routing.heads import REDACTED, KeptHead

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ruled, namespace: default}
spec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}
---
"""

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: default}
spec:
  hosts: [NAME]
  http: [{timeout: TIMEOUT, MATCHroute: [{destination: {host: NAME}}]}]
---
"""


def views(*texts):
    return views_of(SERVICES, *texts)


def rules(name, timeout="1s", match=""):
    return RULES.replace("NAME", name).replace("TIMEOUT", timeout).replace("MATCH", match)


def head(**fields):
    rest = {"at": 1.0, "method": "GET", "scheme": "http", "authority": "ruled", "path": "/a", "port": 80}
    return KeptHead(client=Client(namespace="default", name="shop"), host="10.96.0.2", **{**rest, **fields})


def test_services_whose_connections_stay_in_the_kernel_are_not_seen():
    live = views(rules("ruled"))
    place = "plain.default.svc.cluster.local:80"
    (way,) = ways_of(live, views(rules("ruled", "2s"), rules("plain")), {place: 7, "other:1": 9})
    assert (way.place, way.connections) == (place, 7)
    assert way.live == "balanced in the kernel (no rule needs L7)"
    assert way.candidate.startswith("through the proxy (VirtualService default/plain has HTTP rules (mesh.yaml:")
    assert ways_of(live, views(rules("ruled", "2s")), {}) == []


def test_a_service_that_the_candidate_gives_to_the_kernel_is_told():
    (way,) = ways_of(views(rules("ruled")), views(), {})
    assert (way.connections, way.candidate) == (0, "balanced in the kernel (no rule needs L7)")
    assert way.live.startswith("through the proxy")


def test_the_places_with_the_most_connections_come_first():
    never = SERVICES.replace("namespace: default}", "namespace: default, annotations: {nodemesh.io/l7: never}}")
    other = views_of(never)
    names = [f"{name}.default.svc.cluster.local:80" for name in ("ruled", "plain")]
    found = ways_of(views(), other, {names[0]: 5})
    assert [way.place for way in found] == names and {way.candidate for way in found} == {
        "balanced in the kernel (the annotation nodemesh.io/l7 of Service default/ruled is never)",
        "balanced in the kernel (the annotation nodemesh.io/l7 of Service default/plain is never)",
    }


def test_both_sides_explain_a_sample_where_that_is_asked_for():
    live, candidate = views(rules("ruled")), views(rules("ruled", "2s"))
    found = sample_of(head(), live, candidate, explained=True)
    assert (found.client, found.url) == ("default/shop", "http://10.96.0.2:80/a")
    assert found.live is not None and found.candidate is not None
    assert (found.live["timeout"], found.candidate["timeout"]) == ("1s", "2s")
    assert sample_of(head(), live, candidate, explained=False).live is None


def test_a_sample_is_unsure_where_rules_look_at_what_is_not_kept():
    match = "match: [{headers: {cookie: {exact: a}}}], "
    live, candidate = views(rules("ruled")), views(rules("ruled", match=match))
    sample = head(headers={"cookie": REDACTED}, redacted=("cookie",))
    assert sample_of(sample, live, candidate, explained=True).unsure == ["cookie"]
    assert sample_of(sample, live, live, explained=True).unsure == []


def test_what_nobody_may_ask_is_left_unexplained():
    live = views(rules("ruled"))
    assert sample_of(head(path="/a b"), live, live, explained=True).live is None
