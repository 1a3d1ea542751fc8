"""What an annotation says that an object is to become."""

import json

import pytest

from nodemesh.config.candidate import candidate_of, has_candidate
from nodemesh.config.load import load_text

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: default
  annotations: {ANNOTATIONS}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
"""


def rules(annotation=None):
    annotations = "{}" if annotation is None else f"{{'nodemesh.io/candidate': {json.dumps(annotation)}}}"
    loaded = load_text(RULES.replace("{ANNOTATIONS}", annotations), "mesh.yaml")
    assert not loaded.problems
    return loaded.objects[0]


def test_objects_mostly_have_none():
    assert not has_candidate(rules())
    assert has_candidate(rules("none"))


@pytest.mark.parametrize(
    "text",
    [
        "{hosts: [reviews], http: [{timeout: 3s, route: [{destination: {host: reviews}}]}]}",
        '{"hosts": ["reviews"], "http": [{"timeout": "3s", "route": [{"destination": {"host": "reviews"}}]}]}',
    ],
)
def test_the_new_spec_is_yaml_or_json(text):
    live = rules(text)
    loaded = candidate_of(live)
    (candidate,) = loaded.objects
    assert loaded.problems == ()
    assert candidate.meta == live.meta
    assert candidate.spec.http[0].timeout == 3000
    assert live.spec.http[0].timeout is None
    assert "mesh.yaml:7" in str(candidate.location) and "nodemesh.io/candidate" in str(candidate.location)


def test_an_object_may_be_to_go():
    loaded = candidate_of(rules("none"))
    assert (loaded.objects, loaded.problems) == ((), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{hosts: [reviews], http: [{tiemout: 3s, route: [{destination: {host: reviews}}]}]}", "tiemout"),
        ("hosts: [", "YAML"),
        ("- a", "a mapping"),
        ("", "the word none"),
        ("a: b\n---\nc: d", "the word none"),
    ],
)
def test_what_is_wrong_is_told_at_the_annotation(text, said):
    loaded = candidate_of(rules(text))
    assert loaded.objects == ()
    problem = loaded.problems[0]
    assert (problem.code, problem.location.line, problem.name) == ("bad-candidate", 7, "reviews")
    assert said in problem.message
