"""A candidate beside the live rules is asked about connections that carry no HTTP, too."""

import pytest

from nodemesh.sim import Mesh

CONNECTIONS = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default, annotations: {nodemesh.io/l7: always}}
spec:
  clusterIP: 10.96.0.12
  selector: {app: db}
  ports: [{name: tcp, port: 5432, targetPort: 5432}, {name: tls, port: 443, targetPort: 443}, {name: any, port: 82}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: default}
spec: {host: db, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {app: edge}
  servers:
  - {port: {number: 5432, name: tcp, protocol: TCP}, hosts: ['*']}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: default}
spec:
  hosts: [db, db.example]
  gateways: [mesh, edge]
  tcp:
  - match: [{port: 5432}]
    route: [{destination: {host: db, subset: SUBSET, port: {number: 5432}}}]
  - match: [{port: 82}]
    route: [{destination: {host: db, subset: SUBSET, port: {number: 82}}}]
  tls:
  - match: [{port: 443, sniHosts: [db, db.example]}]
    route: [{destination: {host: db, subset: SUBSET, port: {number: 443}}}]
---
"""


OTHER = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other, namespace: default}
spec:
  hosts: [other.example]
  http: [{route: [{destination: {host: db, subset: v2, port: {number: 82}}}]}]
"""


def connecting():
    mesh = Mesh(CONNECTIONS.replace("SUBSET", "v1"))
    return mesh, mesh.shadow(CONNECTIONS.replace("SUBSET", "v2"))


@pytest.mark.parametrize(
    ("asked", "options", "place"),
    [
        ("tcp://db:5432", {}, "db.default.svc.cluster.local:5432"),
        ("tls://db:443", {}, "db.default.svc.cluster.local:443"),
        ("tcp://db.example:5432", {"gateway": {"app": "edge"}}, "gateway port 5432"),
        ("tls://db.example:443", {"gateway": {"app": "edge"}}, "gateway port 443"),
    ],
)
def test_connections_without_http_count_by_their_rules(asked, options, place):
    mesh, shadow = connecting()
    for _ in range(3):
        assert mesh.send(f"GET {asked}", body=b"ping", **options).subset == "v1"
    counts = shadow.counts()
    (found,) = counts.disagreements
    assert (counts.requests, found.count, found.contrast.place, counts.error) == (3, 3, place, "")
    name = "db.default" if options else "db"
    assert (found.contrast.old.told["to"], found.contrast.new.told["to"]) == (f"{name} v1", f"{name} v2")
    assert found.samples[-1].scheme == asked.partition(":")[0]


def test_a_connection_counts_once_it_is_known_to_be_one():
    """On a port of undeclared protocol the upstream is connected to while the client is silent."""
    mesh, shadow = connecting()
    silent = mesh.world.connect("10.96.0.12", 82)
    mesh.advance(0.1)
    assert shadow.counts().requests == 0
    silent.send(b"\0binary")
    mesh.advance(0.1)
    assert shadow.counts().differing == 1


def test_connections_that_the_candidate_leaves_alone_do_not_count():
    mesh = Mesh(CONNECTIONS.replace("SUBSET", "v1"))
    shadow = mesh.shadow(OTHER)
    mesh.send("GET tcp://db:5432", body=b"ping")
    assert shadow.counts().requests == 0
