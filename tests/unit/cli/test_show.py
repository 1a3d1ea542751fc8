"""What the commands print about a running agent."""

import json

import pytest
from click.testing import CliRunner
from tests.unit.cli.mesh import Mesh, Upstream, cluster, rules

from nodemesh.cli.main import cli

UNSECURED = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside, namespace: default}
spec: {host: outside.example, trafficPolicy: {tls: {mode: MUTUAL, credentialName: nowhere}}}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    upstream = Upstream("v1")
    folder = tmp_path_factory.mktemp("show") / "config"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(
        cluster(upstream) + rules("- route: [{destination: {host: reviews, subset: v1}}]") + UNSECURED
    )
    with Mesh(folder) as running:
        running.curl()
        yield running
    upstream.close()


def show(mesh: Mesh, *arguments: str) -> str:
    result = CliRunner().invoke(cli, [*arguments, "--admin", mesh.admin])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "status",
            [
                "ready:               yes",
                "WORKER",
                "reviews:9080",
                "DestinationRule default/outside",
                "spec.trafficPolicy.tls.credentialName",
                "mesh.yaml:",
                "there is no Secret default/nowhere",
            ],
        ),
        (
            "services",
            ["reviews.default.svc.cluster.local", "9080", "1/1", "http/1.1 (default)", "proxy", "has HTTP rules"],
        ),
        ("endpoints", ["127.0.0.1:", "default/reviews-v1", "ready"]),
        ("routes", ["default/reviews", "spec.http[0]", '"subset":"v1"', "mesh.yaml:"]),
        ("pods", ["this node has no pods"]),
        ("connections", ["GET reviews:9080/", "200", "default/client"]),
        ("graph", ["service/default/reviews", "http"]),
    ],
)
def test_tables_show_what_the_agent_says(mesh, command, words):
    shown = show(mesh, command)
    assert [word for word in words if word not in shown] == []
    json.loads(show(mesh, command, "--format", "json"))


def test_explain_asks_the_agent(mesh):
    shown = show(mesh, "explain", "GET", "http://reviews:9080/")
    assert "outbound|9080|v1|reviews.default.svc.cluster.local" in shown
