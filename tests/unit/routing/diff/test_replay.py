"""Heads that were kept are decided about by two configurations, each as the client that sent it."""

import msgspec
from tests.written import views_of

from nodemesh.routing.client import Client
from nodemesh.routing.diff import replay as module
from nodemesh.routing.diff.replay import replay
from nodemesh.routing.heads import REDACTED, KeptHead

MESH = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews, shop.example]
  gateways: [mesh, edge]
  http:
  RULES
"""

V1 = "- route: [{destination: {host: reviews, subset: v1}}]"
JASON = "- match: [{headers: {end-user: {exact: jason}}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n  "


def views(rules):
    return views_of(MESH.replace("RULES", rules))


def head(headers=None, **fields):
    client = fields.pop("client", Client(namespace="default", name="shop", labels={"app": "shop"}))
    known = {"host": "10.96.0.10", "service": "reviews.default.svc.cluster.local", "port": 9080}
    rest = {"at": 1.0, "method": "GET", "scheme": "http", "authority": "reviews", "path": "/"}
    return KeptHead(client=client, headers=headers or {}, **{**rest, **known, **fields})


def test_only_what_differs_is_found_with_its_first_head():
    heads = [head(), head({"end-user": "jason"}, path="/a"), head({"end-user": "jason"}), head({"end-user": "other"})]
    found = replay(views(V1), views(JASON + V1), heads)
    assert (found.heads, found.differing, found.unsure) == (4, 2, 0)
    (one,) = found.found
    assert (one.count, one.example.path, one.contrast.aspects) == (2, "/a", ["to"])
    assert one.contrast.place == "reviews.default.svc.cluster.local:9080"


def test_the_same_rules_differ_in_nothing():
    assert replay(views(JASON + V1), views(JASON + V1), [head({"end-user": "jason"})]).differing == 0


def test_rules_that_look_at_what_is_not_kept_are_unsure():
    cookie = JASON.replace("end-user: {exact: jason}", "cookie: {regex: '.*user=jason.*'}")
    query = JASON.replace("headers: {end-user", "queryParams: {user")
    gone = {"cookie": REDACTED}
    assert replay(views(V1), views(cookie + V1), [head(gone, redacted=("cookie",))]).unsure == 1
    assert replay(views(V1), views(cookie + V1), [head({"cookie": "user=jason"})]).unsure == 0
    asked = head(query=f"user={REDACTED}", redacted=("?user",))
    assert replay(views(V1), views(query + V1), [asked]).unsure == 1
    assert replay(views(V1), views(JASON + V1), [head(gone, redacted=("cookie",))]).unsure == 0
    assert replay(views(V1), views(V1), [head(cut=True)]).unsure == 1


def test_that_a_field_is_there_is_known_of_what_is_not_kept():
    there = JASON.replace("end-user: {exact: jason}", "cookie: {}")
    found = replay(views(V1), views(there + V1), [head({"cookie": REDACTED}, redacted=("cookie",)), head()])
    assert (found.differing, found.unsure) == (1, 0)


def test_each_head_is_its_own_clients():
    labelled = V1.replace("- route", "- match: [{sourceLabels: {app: a}}]\n    timeout: 3s\n    route") + "\n  " + V1
    heads = [head(client=Client(namespace="default", labels={"app": app})) for app in "aab"]
    assert replay(views(V1), views(labelled), heads).differing == 2


def test_heads_of_gateways_are_decided_at_their_port():
    client = Client(namespace="default", name="edge", labels={"app": "edge"}, gateway=True)
    at_edge = {"client": client, "gateway": True, "port": 80, "host": "", "service": "", "authority": "shop.example"}
    found = replay(views(V1), views(JASON + V1), [head({"end-user": "jason"}, **at_edge), head(**at_edge)])
    assert (found.differing, found.found[0].contrast.place) == (1, "gateway port 80")


def test_a_service_is_found_by_its_host_where_its_address_is_another_one():
    elsewhere = head({"end-user": "jason"}, host="10.1.2.3")
    assert replay(views(V1), views(JASON + V1), [elsewhere]).differing == 1


def test_what_there_is_no_room_for_is_counted(monkeypatch):
    monkeypatch.setattr(module, "MOST", 0)
    found = replay(views(V1), views(JASON + V1), [head({"end-user": "jason"})])
    assert (found.differing, found.folded, found.found) == (1, 1, [])


def test_a_head_travels_as_json_byte_for_byte():
    odd = head({"x-odd": b"\xff\xfe".decode("latin-1")}, path="/\xff", repeated={"x-odd": ("a", "\xff")})
    assert msgspec.json.decode(msgspec.json.encode(odd), type=KeptHead) == odd


TCP = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.12, ports: [{name: tcp, port: 5432}, {name: tls, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: default}
spec:
  hosts: [db]
  tcp: [{match: [{port: 5432}], route: [{destination: {host: TO}}]}]
  tls: [{match: [{port: 443, sniHosts: [db]}], route: [{destination: {host: TO, port: {number: 9080}}}]}]
---
"""


def test_connections_are_replayed_too():
    def db(to):
        text = TCP.replace("TO", to) + MESH.replace("RULES", V1)
        return views_of(text)

    dialled = {
        "host": "10.96.0.12",
        "service": "db.default.svc.cluster.local",
        "method": "",
        "authority": "",
        "path": "",
    }
    heads = [head(scheme="tcp", **{**dialled, "port": 5432}), head(scheme="tls", sni="db", **{**dialled, "port": 443})]
    found = replay(db("db"), db("reviews"), heads)
    assert sorted(each.contrast.place.rpartition(":")[2] for each in found.found) == ["443", "5432"]
    assert replay(db("db"), db("db"), heads).differing == 0
    assert heads[1].url == "tls://db.default.svc.cluster.local:443"
