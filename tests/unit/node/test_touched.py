import msgspec

from nodemesh.config.load import load_text
from nodemesh.node.touched import hosts_touched
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Edit

ISTIO = """apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{name: one, namespace: shop}}
spec: {spec}
"""
ROUTE = """apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: one, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: reviews}, {name: edge}]
  rules: [{backendRefs: [{name: reviews-v2, port: 80}, {name: other, namespace: far, port: 80}]}]
"""


def item(text):
    (found,) = load_text(text, "one.yaml").objects
    return found


def touched(before, after):
    return hosts_touched([Edit(ObjectKey("Any", "shop", "one"), before, after)], "cluster.local")


def full(*names):
    return {f"{name}.svc.cluster.local" for name in names}


def test_services_that_a_rule_is_about_or_leads_to():
    rule = item(ISTIO.format(
        kind="VirtualService",
        spec="{hosts: [reviews, api.example.com], http: [{route: [{destination: {host: reviews-v2}}], "
        "mirrors: [{destination: {host: copies.far}}, {destination: {host: more.far.svc.cluster.local}}]}], "
        "tcp: [{route: [{destination: {host: db}}]}]}",
    ))  # fmt: skip
    assert full("reviews.shop", "reviews-v2.shop", "copies.far", "more.far", "db.shop") <= touched(None, rule)
    assert "api.example.com" in touched(rule, None)
    policy = item(ISTIO.format(kind="DestinationRule", spec="{host: reviews}"))
    assert full("reviews.shop") <= touched(None, policy)
    assert full("reviews.shop", "reviews-v2.shop", "other.far") <= touched(None, item(ROUTE))


def test_a_rule_that_leads_elsewhere_touches_where_it_led_before():
    text = ISTIO.format(kind="VirtualService", spec="{hosts: [front], http: [{route: [{destination: {host: NAME}}]}]}")
    found = touched(item(text.replace("NAME", "old")), item(text.replace("NAME", "new")))
    assert full("front.shop", "old.shop", "new.shop") <= found


def test_what_says_the_same_as_before_touches_nothing():
    rule = item(ISTIO.format(kind="DestinationRule", spec="{host: reviews}"))
    annotated = msgspec.structs.replace(rule, meta=msgspec.structs.replace(rule.meta, annotations={"a": "b"}))
    assert touched(rule, annotated) == set()
    assert touched(None, item(ISTIO.format(kind="ServiceEntry", spec="{hosts: [a.example], ports: "
                   "[{number: 80, name: http, protocol: HTTP}], resolution: DNS}"))) == set()  # fmt: skip
