"""What differs and shows in no answer is named."""

import pytest
from tests.unit.routing.diff.test_compare import GATEWAY, difference, mesh

from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.registry.snapshot import Service
from nodemesh.routing.diff.render import render_markdown, render_text
from nodemesh.routing.diff.silent import MESH_COMPARED, SERVICE_COMPARED, SERVICE_MEANINGLESS, listed

PODS = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.20, selector: {app: SELECTOR}, ports: [{name: http, port: 80, targetPort: 8080}] MORE}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: default, labels: {app: one}}
status: {podIP: 10.0.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
---
"""

TELEMETRY = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: all, namespace: default}
spec: {tracing: [{randomSamplingPercentage: 5}]}
---
"""


def pods(selector="one", more=""):
    return PODS.replace("SELECTOR", selector).replace("MORE", more)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (mesh(""), mesh("accessLogFile: /dev/stdout, dnsCapture: true"), ["MeshConfig's accessLogFile, dnsCapture"]),
        ("", TELEMETRY, ["what is logged, traced and measured by Telemetry default/all"]),
        (pods(), pods("two"), ["endpoints of web.default.svc.cluster.local"]),
        (pods(), pods().replace("8080", "9090"), ["endpoints of web.default.svc.cluster.local"]),
        (pods(), pods(more=", sessionAffinity: ClientIP"), ["sessionAffinity of web.default.svc.cluster.local"]),
        (GATEWAY.replace("HTTP}", "HTTPS}, tls: {mode: SIMPLE, credentialName: a}"),
         GATEWAY.replace("HTTP}", "HTTPS}, tls: {mode: SIMPLE, credentialName: b}"),
         ["certificates, TLS versions and addresses of Gateway default/edge"]),
        (pods(), pods(), []),
    ],
)  # fmt: skip
def test_it_is_named_with_whose_it_is(old, new, told):
    found = difference(old, new)
    assert (found.changes, list(found.silent)) == ((), told)
    for each in told:
        assert f"not compared: {each}\nnothing changes in what was looked at\n" in render_text(found)
        assert "- not compared: " in render_markdown(found)


def test_many_are_some():
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_the_fields_that_are_compared_are_fields():
    """What is new in them is not compared until somebody says so."""
    assert set(MeshConfigSpec.__struct_fields__) >= MESH_COMPARED
    assert set(Service.__struct_fields__) >= SERVICE_COMPARED | SERVICE_MEANINGLESS
