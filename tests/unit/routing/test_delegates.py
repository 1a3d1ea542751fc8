import pytest
from tests.meshes import make, request, service, view_of

from nodemesh.config.virtualservice import HTTPMatchRequest, HTTPRoute, StringMatch
from nodemesh.routing.decision import DirectResponse
from nodemesh.routing.delegates import merge_match, merge_route


def uri(**kind):
    return HTTPMatchRequest(uri=StringMatch(**kind))


@pytest.mark.parametrize(
    ("root", "delegate", "merged"),
    [
        (uri(prefix="/a"), uri(prefix="/a/b"), uri(prefix="/a/b")),
        (uri(prefix="/a"), uri(exact="/a/b"), uri(exact="/a/b")),
        (uri(prefix="/a"), uri(prefix="/b"), None),
        (uri(exact="/a"), uri(prefix="/a"), None),
        (uri(regex="/a"), uri(regex="/a"), None),
        (uri(prefix="/a"), HTTPMatchRequest(), uri(prefix="/a")),
        (HTTPMatchRequest(port=80), HTTPMatchRequest(port=81), None),
        (HTTPMatchRequest(port=80), HTTPMatchRequest(), HTTPMatchRequest(port=80)),
        (
            HTTPMatchRequest(headers={"a": StringMatch(exact="1")}),
            HTTPMatchRequest(headers={"b": StringMatch(exact="2")}),
            HTTPMatchRequest(headers={"a": StringMatch(exact="1"), "b": StringMatch(exact="2")}),
        ),
        (
            HTTPMatchRequest(headers={"a": StringMatch(exact="1")}),
            HTTPMatchRequest(headers={"a": StringMatch(exact="2")}),
            None,
        ),
        (HTTPMatchRequest(source_labels={"a": "1"}), HTTPMatchRequest(source_labels={"a": "2"}), None),
        (
            HTTPMatchRequest(uri=StringMatch(prefix="/a"), ignore_uri_case=True),
            uri(prefix="/a"),
            None,
        ),
    ],
)
def test_the_delegate_must_ask_for_a_subset(root, delegate, merged):
    assert merge_match(root, delegate) == merged


def test_the_root_fills_in_what_the_delegate_leaves_out():
    root = HTTPRoute(name="root", timeout=5, match=(uri(prefix="/a"),))
    merged = merge_route(root, HTTPRoute(name="own", match=(uri(prefix="/b"), uri(prefix="/a/x"))))
    assert (merged.name, merged.timeout, merged.match) == ("root-own", 5, (uri(prefix="/a/x"),))
    assert merge_route(root, HTTPRoute(timeout=1)).timeout == 1
    assert merge_route(root, HTTPRoute(match=(uri(prefix="/b"),))) is None


def answer(delegate, path="/a/b", **more):
    root = make("VirtualService", "root", {"hosts": ["web"], "http": [
        {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "inner", "namespace": "team"}, **more},
        {"directResponse": {"status": 299}},
    ]})  # fmt: skip
    view = view_of(service("web", "10.96.0.1"), root, *delegate)
    decision = view.http(view.frontend("10.96.0.1", 80), request(path, "web"))
    assert isinstance(decision, DirectResponse)
    return decision.status


def inner(**spec):
    rule = {"match": [{"uri": {"prefix": "/a/b"}}], "directResponse": {"status": 201}}
    return make("VirtualService", "inner", {"http": [rule], **spec}, namespace="team")


def test_a_delegates_rules_stand_in_for_the_roots():
    assert answer([inner()]) == 201
    assert answer([inner()], path="/a/c") == 299


def test_a_delegate_that_is_missing_hidden_or_no_delegate_leaves_the_rule_out():
    assert answer([]) == 299
    assert answer([inner(exportTo=["."])]) == 299
    assert answer([inner(exportTo=["default"])]) == 201
    assert answer([inner(hosts=["x"])]) == 299
