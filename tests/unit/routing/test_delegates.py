import pytest
from tests.meshes import make, request, service, view_of

from nodemesh.config.base import Duration
from nodemesh.config.virtualservice import HTTPMatchRequest, HTTPRoute, StringMatch
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import DirectResponse
from nodemesh.routing.delegates import PAIRS, merge_match, merge_matches, merge_route
from nodemesh.routing.lint import lint


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
            HTTPMatchRequest(source_labels={"a": "1"}),
            HTTPMatchRequest(source_labels={"b": "2"}),
            HTTPMatchRequest(source_labels={"a": "1", "b": "2"}),
        ),
        (HTTPMatchRequest(source_namespace="a"), HTTPMatchRequest(source_namespace="b"), None),
        (HTTPMatchRequest(source_namespace="a"), HTTPMatchRequest(), None),
        (HTTPMatchRequest(), HTTPMatchRequest(source_namespace="a"), HTTPMatchRequest(source_namespace="a")),
        (HTTPMatchRequest(ignore_uri_case=True), HTTPMatchRequest(), None),
        (HTTPMatchRequest(), HTTPMatchRequest(ignore_uri_case=True), None),
        (uri(regex="/a"), uri(prefix="/a"), None),
        (uri(prefix="/a"), uri(regex="/a"), None),
        (uri(regex="/a"), HTTPMatchRequest(), uri(regex="/a")),
        (HTTPMatchRequest(), uri(regex="/a"), uri(regex="/a")),
        (uri(exact="/a"), uri(exact="/a"), uri(exact="/a")),
        (uri(prefix="/a/b"), uri(prefix="/a"), None),
        (
            HTTPMatchRequest(without_headers={"a": StringMatch(prefix="1")}),
            HTTPMatchRequest(without_headers={"a": StringMatch(exact="2")}),
            None,
        ),
        (HTTPMatchRequest(headers={"a": StringMatch()}), HTTPMatchRequest(headers={"a": StringMatch(exact="1")}), None),
        (HTTPMatchRequest(headers={"a": StringMatch(exact="1")}), HTTPMatchRequest(headers={"a": StringMatch()}), None),
        (HTTPMatchRequest(gateways=("a",)), HTTPMatchRequest(gateways=("a", "mesh")), None),
        (
            HTTPMatchRequest(gateways=("a", "mesh")),
            HTTPMatchRequest(gateways=("mesh",)),
            HTTPMatchRequest(gateways=("mesh",)),
        ),
        (HTTPMatchRequest(gateways=("a",)), HTTPMatchRequest(), HTTPMatchRequest(gateways=("a",))),
        (
            HTTPMatchRequest(uri=StringMatch(prefix="/a"), ignore_uri_case=True),
            uri(prefix="/a"),
            None,
        ),
    ],
)
def test_the_delegate_must_ask_for_a_subset(root, delegate, merged):
    assert merge_match(root, delegate) == merged


@pytest.mark.parametrize(
    ("root", "delegate", "merged"),
    [
        ([], [], ()),
        ([uri(prefix="/a")], [], (uri(prefix="/a"),)),
        ([], [uri(prefix="/a")], (uri(prefix="/a"),)),
        # each of the delegate's finds its own of the root's
        (
            [uri(prefix="/a"), uri(prefix="/b")],
            [uri(exact="/b/1"), uri(exact="/a/1")],
            (uri(exact="/b/1"), uri(exact="/a/1")),
        ),
        # the delegate's order comes first
        (
            [HTTPMatchRequest(port=80), HTTPMatchRequest(port=81)],
            [uri(prefix="/a"), uri(prefix="/b")],
            tuple(
                HTTPMatchRequest(uri=StringMatch(prefix=path), port=port) for path in ("/a", "/b") for port in (80, 81)
            ),
        ),
        # one that finds none takes the whole rule with it
        ([uri(prefix="/a")], [uri(prefix="/a/x"), uri(prefix="/b")], None),
        ([uri(prefix="/a")], [uri(exact="/a/1"), uri(exact="/b")], None),
        (
            [HTTPMatchRequest(uri=StringMatch(prefix="/a"), port=8080)],
            [uri(exact="/a/1"), HTTPMatchRequest(uri=StringMatch(exact="/a/2"), port=9090)],
            None,
        ),
        ([HTTPMatchRequest(gateways=("a",))], [HTTPMatchRequest(gateways=(name,)) for name in ("a", "mesh")], None),
        (
            [HTTPMatchRequest(gateways=("a", "mesh"))],
            [HTTPMatchRequest(gateways=(name,)) for name in ("a", "mesh")],
            tuple(HTTPMatchRequest(gateways=(name,)) for name in ("a", "mesh")),
        ),
    ],
)
def test_every_match_of_the_delegates_has_to_find_one_of_the_roots(root, delegate, merged):
    assert merge_matches(tuple(root), tuple(delegate)) == merged


def test_the_root_fills_in_what_the_delegate_leaves_out():
    root = HTTPRoute(name="root", timeout=Duration(5), match=(uri(prefix="/a"),))
    merged = merge_route(root, HTTPRoute(name="own", match=(uri(prefix="/a/x"),)))
    assert (merged.name, merged.timeout, merged.match) == ("root-own", 5, (uri(prefix="/a/x"),))
    assert merge_route(root, HTTPRoute(timeout=Duration(1))).timeout == 1
    assert merge_route(root, HTTPRoute(timeout=Duration(0))).timeout == 0  # none, said by the delegate
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


def test_a_rule_of_which_one_match_is_outside_of_the_roots_falls_whole():
    partly = {"match": [{"uri": {"prefix": "/a/b"}}, {"uri": {"prefix": "/c"}}], "directResponse": {"status": 202}}
    assert answer([inner(http=[partly])]) == 299
    whole = {"match": [{"uri": {"prefix": "/a/b"}}], "directResponse": {"status": 203}}
    assert answer([inner(http=[partly, whole])]) == 203


def test_two_small_objects_make_no_millions_of_matches():
    """Each match of the root is joined with each of the delegate."""
    many = 2 * int(PAIRS**0.5)
    paths = [{"uri": {"prefix": f"/a/{number}"}} for number in range(many)]
    rules = [{"match": match, "directResponse": {"status": 202}} for match in (paths, paths[:1])]
    heads = [{"headers": {f"x-{number}": {"exact": "1"}}} for number in range(many)]
    root = make("VirtualService", "root", {
        "hosts": ["web"], "http": [
            {"match": heads, "delegate": {"name": "leaf"}},
            {"directResponse": {"status": 299}},
        ]
    })  # fmt: skip
    leaf = make("VirtualService", "leaf", {"http": rules})
    snapshot = Store().apply("t", [service("web", "10.96.0.1"), root, leaf])
    (found,) = (one for one in compile_tables(snapshot).virtual_services.values())
    assert [len(rule.route.match) for rule in found.http] == [many, 0], "the rule that is too much falls, no other"
    told = [problem for problem in lint(snapshot) if problem.code == "delegate-too-large"]
    assert [(problem.name, problem.path) for problem in told] == [("root", "spec.http[0].delegate")]
