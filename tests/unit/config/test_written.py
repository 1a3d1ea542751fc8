"""What is written of an object says the same as the object."""

from pathlib import Path

import pytest

from nodemesh.config.kinds import KINDS
from nodemesh.config.load import load_text
from nodemesh.config.written import document
from nodemesh.config.yaml import write

SEEDS = sorted((Path(__file__).parents[2] / "conformance" / "seeds").glob("*.yaml"))

VARIED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: all
  namespace: shop
  labels: {a: b}
  annotations: {note: kept, kubectl.kubernetes.io/last-applied-configuration: "{}"}
spec:
  hosts: [web]
  http:
    - match: [{uri: {prefix: "/a"}, headers: {x: {}}}]
      directResponse: {status: 200, body: {bytes: aGVsbG8=}}
    - timeout: 1.5s
      retries: {attempts: 2, perTryTimeout: 250ms}
      fault: {delay: {fixedDelay: 1h, percentage: {value: 0.5}}}
      route: [{destination: {host: web, port: {number: 80}}, weight: 100}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, namespace: shop}
spec:
  parentRefs: [{kind: Service, group: "", name: web}]
  rules: [{backendRefs: [{name: web, port: 80}], timeouts: {request: 2s}}]
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default}
spec: {l7: always, connectTimeout: 3s, limits: {connections: 5}}
"""


@pytest.mark.parametrize(
    "text", [VARIED, *(path.read_text() for path in SEEDS)], ids=["varied", *(p.stem for p in SEEDS)]
)
def test_it_loads_as_the_same_object(text):
    loaded = load_text(text, "a.yaml")
    assert loaded.objects and not [problem for problem in loaded.problems if problem.refused]
    for item in loaded.objects:
        if not KINDS[item.group, item.kind].strict:
            continue
        loaded = load_text(write(document(item)), "b.yaml")
        assert not [problem for problem in loaded.problems if problem.refused]
        (again,) = loaded.objects
        assert again.spec == item.spec and again.meta.key == item.meta.key and again.meta.labels == item.meta.labels


def test_what_tools_keep_for_themselves_is_left_out():
    (item, *_) = load_text(VARIED, "a.yaml").objects
    assert document(item)["metadata"]["annotations"] == {"note": "kept"}
