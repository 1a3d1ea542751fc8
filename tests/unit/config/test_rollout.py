"""The annotation of a staged rollout: what it says, and what refuses the object."""

import pytest

from nodemesh.config.base import Duration
from nodemesh.config.load import load_object
from nodemesh.config.problems import Severity
from nodemesh.config.rollout import DEFAULT_PLAN, ROLLOUT, RolloutPlan, read_rollout

MESH = RolloutPlan(clients=1.0, hold=Duration(60_000))


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        (None, None),
        ("", None),
        ("disabled", None),
        ("enabled", MESH),
        ("{clients: 25}", RolloutPlan(clients=25.0)),
        ('{"nodes": {"tier": "canary"}, "hold": "90s"}', RolloutPlan(nodes={"tier": "canary"}, hold=Duration(90_000))),
        ("clients: 5\nmaxErrors: 0.5\nminRequests: 100\n", RolloutPlan(clients=5.0, max_errors=0.5, min_requests=100)),
    ],
)
def test_a_plan(text, plan):
    annotations = {} if text is None else {ROLLOUT: text}
    assert read_rollout(annotations, MESH) == (plan, "")


def test_enabled_has_a_meaning_without_mesh_config():
    assert read_rollout({ROLLOUT: "enabled"}, None) == (DEFAULT_PLAN, "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("on", "right is enabled"),
        ("{clients: 0}", "needs its canaries"),
        ("{clients: 101}", "not a percentage"),
        ("{clients: many}", "clients"),
        ("{clients: 5, maxErrors: -1}", "maxErrors"),
        ("{clients: 5, hold: 10ms}", "hold"),
        ("{clients: 5, minRequests: 0}", "minRequests"),
        ("{client: 5}", "client"),
        ("{clients: [", ""),
        ("x" * 5000, "longer"),
    ],
)
def test_what_is_no_plan_refuses_the_object(text, word):
    plan, fault = read_rollout({ROLLOUT: text}, None)
    assert plan is None and fault and word in fault
    loaded = loaded_with(text)
    assert not loaded.objects and [problem.code for problem in loaded.problems] == ["bad-rollout"]
    assert loaded.problems[0].path == f'metadata.annotations["{ROLLOUT}"]'


def test_other_kinds_are_told_that_they_are_in_force_at_once():
    loaded = loaded_with("enabled", kind="ServiceEntry", spec={"hosts": ["a.example"], "ports": [
        {"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS"})  # fmt: skip
    assert loaded.objects and [problem.severity for problem in loaded.problems] == [Severity.WARNING]


def test_mesh_configs_plan_is_checked():
    data = {"apiVersion": "nodemesh.io/v1alpha1", "kind": "MeshConfig", "metadata": {"name": "a"}}
    loaded = load_object({**data, "spec": {"rollout": {"clients": 500}}}, "a")
    assert [problem.path for problem in loaded.problems] == ["spec.rollout.clients"]
    assert load_object({**data, "spec": {"rollout": {"clients": 5}}}, "a").objects


def loaded_with(text, kind="VirtualService", spec=None):
    return load_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": kind,
            "metadata": {"name": "a", "annotations": {ROLLOUT: text}},
            "spec": spec or {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]},
        },
        "a",
    )
