"""Heads are kept while somebody records, as they were decided about, in bounds."""

from nodemesh.proxy import recording as module
from nodemesh.proxy.recording import HeadsTap
from nodemesh.routing.heads import REDACTED
from nodemesh.sim import Mesh

MESH = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default, annotations: {nodemesh.io/l7: always}}
spec: {clusterIP: 10.96.0.10, selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
"""


def recorded(most=100, shown=()):
    mesh = Mesh(MESH)
    tap = HeadsTap(1, most, frozenset(shown), mesh.world.clock)
    mesh.world.proxy.tap((tap,))
    return mesh, tap


def test_heads_come_with_client_place_and_time_and_without_secrets():
    mesh, tap = recorded()
    mesh.send(
        "GET http://reviews:9080/a?b=c",
        headers={"cookie": "a=b", "end-user": "jason"},
        as_="default/shop",
        labels={"app": "shop"},
    )
    (head,), lost = tap.take()
    assert lost == 0
    assert (head.method, head.path, head.query, head.authority) == ("GET", "/a", f"b={REDACTED}", "reviews:9080")
    assert (head.service, head.port, head.gateway) == ("reviews.default.svc.cluster.local", 9080, False)
    assert head.headers["cookie"] == REDACTED and head.headers["end-user"] == "jason"
    assert (head.client.name, head.client.labels) == ("shop", {"app": "shop"})
    assert abs(head.at - mesh.world.clock.time()) < 1
    assert tap.take() == ([], 0)


def test_heads_at_gateways_come_with_their_port():
    mesh, tap = recorded()
    mesh.send("GET http://shop.example/", gateway={"app": "edge"})
    (head,), _ = tap.take()
    assert (head.gateway, head.port, head.authority, head.client.gateway) == (True, 80, "shop.example", True)


def test_what_is_shown_is_kept():
    mesh, tap = recorded(shown=("cookie", "?b"))
    mesh.send("GET http://reviews:9080/a?b=c", headers={"cookie": "a=b"})
    (head,), _ = tap.take()
    assert (head.headers["cookie"], head.query, head.redacted) == ("a=b", "b=c", ())


def test_there_are_no_more_than_were_asked_for():
    mesh, tap = recorded(most=3)
    mesh.send_many(2, "GET http://reviews:9080/")
    assert len(tap.take()[0]) == 2
    mesh.send_many(4, "GET http://reviews:9080/")
    heads, lost = tap.take()
    assert (len(heads), lost) == (1, 3)


def test_what_nobody_fetches_is_lost_and_counted(monkeypatch):
    monkeypatch.setattr(module, "WAITING_TEXT", 1000)
    mesh, tap = recorded()
    for _ in range(5):
        mesh.send("GET http://reviews:9080/", headers={"x-long": ". " * 300})
    heads, lost = tap.take()
    assert (len(heads), lost) == (2, 3)
    mesh.send("GET http://reviews:9080/")
    assert len(tap.take()[0]) == 1


def test_each_request_of_an_open_connection_is_kept():
    mesh, tap = recorded()
    peer = mesh.world.connect("10.96.0.10", 9080)
    for _ in range(3):
        peer.send(b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n")
        mesh.advance(1)
    assert len(tap.take()[0]) == 3


TCP = """---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default, annotations: {nodemesh.io/l7: always}}
spec: {clusterIP: 10.96.0.12, selector: {app: db}, ports: [{name: tcp, port: 5432}, {name: tls, port: 443}]}
"""


def test_of_a_connection_without_http_what_was_dialled_is_kept():
    mesh = Mesh(MESH + TCP)
    tap = HeadsTap(1, 2, frozenset(), mesh.world.clock)
    mesh.world.proxy.tap((tap,))
    mesh.send("GET tcp://db:5432", body=b"ping", as_="default/shop", labels={"app": "shop"})
    mesh.send("GET tls://db:443", body=b"ping", sni="db.example")
    mesh.send("GET tcp://db:5432", body=b"ping")
    (plain, secure), lost = tap.take()
    assert lost == 1
    assert (plain.scheme, plain.method, plain.service, plain.port) == ("tcp", "", "db.default.svc.cluster.local", 5432)
    assert plain.client.labels == {"app": "shop"}
    assert (secure.scheme, secure.sni, secure.port) == ("tls", "db.example", 443)
