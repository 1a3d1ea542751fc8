"""What a change comes to: classes of requests and connections, their clients, their gateways, and how it is told."""

import json

import pytest
from click.testing import CliRunner
from tests.written import snapshot_of

from nodemesh.cli.diff import diff as command
from nodemesh.config.load import load_text
from nodemesh.registry.carry import CarryError, decode_snapshot, encode_snapshot
from nodemesh.registry.overlay import overlay
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.diff.compare import compare
from nodemesh.routing.diff.render import render_markdown, render_text

SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.11, ports: [{name: tcp, port: 5432}]}
---
"""

SUBSETS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  POLICY
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: V2}}]
---
"""

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}]
---
"""

CANARY = "- route:\n    - {destination: {host: reviews, subset: v1}, weight: 75}\n    - {destination: {host: reviews, subset: v2}, weight: 25}"  # noqa: E501
JASON = "- match: [{headers: {end-user: {exact: jason}}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n  "
ALL = "- route: [{destination: {host: reviews, subset: v2}}]"


def subsets(version="v2", policy=""):
    return SUBSETS.replace("POLICY", policy).replace("V2", version)


def rules(http="", hosts="[reviews]", extra="", kind="http", namespace="default"):
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: {namespace}}}
spec:
  hosts: {hosts}
  {extra}
  {kind}:
  {http}
---
"""


def snapshot(text, file="new.yaml"):
    return snapshot_of(SERVICES, text, file=file)


def difference(old, new):
    return compare(compile_tables(snapshot(old, "old.yaml")), compile_tables(snapshot(new)))


def test_the_canarys_progression_as_a_person_would_say_it():
    stages = [subsets() + rules(CANARY), subsets() + rules(JASON + CANARY), subsets() + rules(ALL)]
    first, second = (render_text(difference(old, new)) for old, new in zip(stages, stages[1:], strict=False))
    assert (
        first
        == """\
reviews.default.svc.cluster.local:9080
  Requests with header end-user: jason
      now go to reviews v2, before to 75 % reviews v1, 25 % reviews v2
      by VirtualService default/reviews spec.http[0] (new.yaml:29:5)
      before by VirtualService default/reviews spec.http[0] (old.yaml:29:5)
1 class changes
"""
    )
    assert (
        second
        == """\
reviews.default.svc.cluster.local:9080
  All other requests
      now go to reviews v2, before to 75 % reviews v1, 25 % reviews v2
      by VirtualService default/reviews spec.http[0] (new.yaml:29:5)
      before by VirtualService default/reviews spec.http[1] (old.yaml:31:5)
1 class changes
"""
    )


def test_nothing_is_said_of_what_only_looks_different():
    moved = "# a comment\n" + rules(CANARY) + subsets()
    same = JASON.replace("jason", "bob") + JASON + CANARY
    swapped = JASON + JASON.replace("jason", "bob") + CANARY
    assert difference(subsets() + rules(CANARY), moved).changes == ()
    assert difference(subsets() + rules(same), subsets() + rules(swapped)).changes == ()
    assert render_text(difference(subsets(), subsets())) == "nothing changes\n"


@pytest.mark.parametrize(
    "old, new, aspect, before, after",
    [
        ("timeout: 1s", "timeout: 2s", "timeout", "1 s", "2 s"),
        ("retries: {attempts: 0}", "retries: {attempts: 1, retryOn: 5xx}", "retries", None, "1 on 5xx"),
        ("rewrite: {uri: /a}", "rewrite: {uri: /b}", "rewrite", 
         "path's first 1 bytes to /a", "path's first 1 bytes to /b"),
        ("rewrite: {uriRegexRewrite: {match: a, rewrite: b}}", "rewrite: {uriRegexRewrite: {match: a, rewrite: c}}",
         "rewrite", "path with each match of a by b", "path with each match of a by c"),
        ("headers: {request: {set: {x: '1'}}}", "headers: {request: {set: {x: '2'}, remove: [z]}}", "request headers",
         "set x: 1", "remove z, set x: 2"),
        ("fault: {abort: {httpStatus: 500, percentage: {value: 1}}}",
         "fault: {abort: {httpStatus: 500, percentage: {value: 2}}}",
         "fault", "1 % get 500", "2 % get 500"),
        ("mirror: {host: db, port: {number: 5432}}", "name: a", "mirror", "db:5432", None),
        ("corsPolicy: {allowOrigins: [{exact: a}]}", "corsPolicy: {allowOrigins: [{exact: b}]}", "CORS",
         "origins exact 'a'", "origins exact 'b'"),
    ],
)  # fmt: skip
def test_each_aspect_of_a_rule_is_compared(old, new, aspect, before, after):
    sides = (subsets() + rules(ALL + "\n    " + text) for text in (old, new))
    (change,) = difference(*sides).changes
    assert change.aspects == [aspect] and change.asks == "all requests"
    assert (change.old.told.get(aspect), change.new.told.get(aspect)) == (before, after)


def test_policies_and_subsets_are_compared_for_the_clients_that_meet_them():
    (change,) = difference(subsets() + rules(ALL), subsets("v3") + rules(ALL)).changes
    assert change.aspects == ["pods of reviews v2"] and change.new.told["pods of reviews v2"] == "version=v3"
    outlier = subsets(policy="trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}")
    (change,) = difference(subsets() + rules(ALL), outlier + rules(ALL)).changes
    assert change.aspects == ["locality of reviews v2", "outlier detection of reviews v2"]
    assert change.new.told["locality of reviews v2"] == "near endpoints first"
    assert change.new.told[change.aspects[1]] == "consecutive5xx 3"


def test_a_subset_that_goes_is_an_error_for_its_requests():
    gone = subsets().replace(", {name: v2, labels: {version: v2}}", "")
    (change,) = difference(subsets() + rules(ALL), gone + rules(ALL)).changes
    assert "nowhere: outbound|9080|v2|reviews" in change.new.told["to"]


def test_who_is_told_where_clients_are_told_apart():
    own = ALL.replace("- route", "- match: [{sourceLabels: {app: page}}]\n    route") + "\n  " + CANARY
    (change,) = difference(subsets() + rules(CANARY), subsets() + rules(own)).changes
    assert change.clients == ("clients with app=page", "clients with app=page in default")
    assert "from clients with app=page or" in render_text(difference(subsets() + rules(CANARY), subsets() + rules(own)))


def test_gateways_are_asked_by_their_hosts():
    edge = "gateways: [edge]"
    old = subsets() + GATEWAY + rules(ALL, "[a.example.com]", edge)
    new = subsets() + GATEWAY + rules(JASON + ALL.replace("v2", "v1"), "[a.example.com]", edge)
    (change,) = difference(old, new).changes
    assert (change.host, change.port, change.asks) == ("a.example.com", 80, "all other requests")
    assert change.gateway == "gateway istio=ingressgateway"
    closed = subsets() + rules(ALL, "[a.example.com]", edge)
    found = difference(old, closed).changes
    assert {change.new.told["to"] for change in found} == {"nothing listens there"}


def test_connections_are_compared():
    tcp = "- route: [{destination: {host: reviews, port: {number: 9080}}}]"
    (change,) = difference("", rules(tcp, "[db]", kind="tcp")).changes
    assert (change.asks, change.host) == ("all connections", "db.default.svc.cluster.local")
    assert (change.old.told["to"], change.new.told["to"]) == ("db", "reviews:9080")


def test_what_is_cut_is_said():
    old, new = (compile_tables(snapshot(text)) for text in (rules(CANARY), rules(ALL)))
    found = compare(old, new, lambda: True)
    assert not found.changes and "the time is up" in found.cut[0]
    assert "not looked at: the time is up" in render_text(found)
    hard = "- match: [{uri: {regex: '/\\pL+'}}]\n    route: [{destination: {host: reviews, subset: v1}}]\n  "
    found = difference(subsets() + rules(ALL), subsets() + rules(hard + ALL))
    assert found.cut == (
        r"reviews.default.svc.cluster.local:9080: no text was found that matches /\/\pL+/".replace("\\/", "/"),
    )


def test_clients_who_see_the_same_are_told_of_their_own_rules():
    to = "    route: [{destination: {host: reviews, subset: v1}}]"
    old = f"- match: [{{sourceLabels: {{app: a}}}}]\n{to}\n  - {to.strip()}"
    found = difference(subsets() + rules(old), subsets() + rules(ALL)).changes
    assert {change.clients[0]: change.old.rule.partition(" (")[0] for change in found} == {
        "clients with app=a": "VirtualService default/reviews spec.http[0]",
        "other clients": "VirtualService default/reviews spec.http[1]",
    }


NUMBERS = """- match: [{uri: {regex: '/n/[0-9]PLUS'}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - route: [{destination: {host: reviews, subset: v2}}]"""


def test_an_expression_that_takes_less_is_found():
    wide, narrow = (rules(NUMBERS.replace("PLUS", each)) for each in ("+", "{1,3}"))
    (change,) = difference(subsets() + wide, subsets() + narrow).changes
    assert change.new.told["to"] == "reviews v2" and change.old.told["to"] == "reviews v1"
    assert change.example.url == "http://reviews.default.svc.cluster.local:9080/n/0000"


def test_pairs_of_expressions_that_cannot_be_told_apart_are_said():
    two = (rules(NUMBERS.replace("[0-9]PLUS", each)) for each in ("(?i:a)", "(?i:b)"))
    found = difference(*(subsets() + each for each in two))
    assert "1 pairs of regular expressions were compared by samples alone" in str(found.cut)


def test_the_way_that_connections_take_is_told():
    """A rule takes a service out of the kernel: every connection of its clients is the proxy's from then on."""
    (requests, connections) = difference(
        "", rules("- route: [{destination: {host: reviews}}]\n    timeout: 1s")
    ).changes
    assert requests.aspects == ["timeout"] and connections.asks == "all connections"
    assert connections.new.told == {
        "way": "through the proxy (VirtualService default/reviews has HTTP rules (new.yaml:20:5))"
    }
    assert connections.old.told == {"way": "balanced in the kernel (no rule needs L7)"}


MESH = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec: {SPEC}
---
"""


def mesh(spec):
    return MESH.replace("SPEC", spec)


def test_hosts_that_the_mesh_does_not_know_are_compared():
    found = difference(mesh(""), mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"))
    (change,) = found.changes
    assert (change.host, change.asks, change.new.told["to"]) == ("*", "all connections", "502 (blackhole)")
    assert "hosts that the mesh does not know\n" in render_text(
        difference(mesh(""), mesh("outboundTrafficPolicy: {mode: REGISTRY_ONLY}"))
    )


def test_connections_without_http_have_no_retries():
    never = mesh("defaultHttpRetryPolicy: {attempts: 0}")
    assert {change.host.partition(".")[0] for change in difference(mesh(""), never).changes} == {"reviews"}


@pytest.mark.parametrize(("wish", "told"), [("closed", "refused"), ("open", None)])
def test_what_becomes_of_connections_without_the_agent_is_compared(wish, told):
    rule = subsets() + rules(ALL)
    found = difference(mesh("") + rule, mesh(f"failurePolicy: {wish}") + rule).changes
    assert [change.new.told.get("while the agent is down") for change in found] == ([told] if told else [])


@pytest.mark.parametrize(
    ("policy", "aspect", "told"),
    [
        ("trafficPolicy: {proxyProtocol: {version: V1}}", "PROXY protocol", "version 1"),
        ("trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", "HTTP", "HTTP/2"),
        ("trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: eu, to: {eu: 80, us: 20}}]}}}",
         "locality", "distribute (from eu, to eu=80/us=20)"),
        ("trafficPolicy: {connectionPool: {tcp: {connectTimeout: 2s}}}", "connection pool", "connectTimeout 2 s"),
        ("trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}", "load balancing", "algorithm ROUND_ROBIN"),
    ],
)  # fmt: skip
def test_how_endpoints_are_reached_is_compared(policy, aspect, told):
    found = difference(subsets() + rules(ALL), subsets(policy=policy) + rules(ALL))
    (change,) = found.changes
    assert change.new.told[f"{aspect} of reviews v2"] == told
    assert f"{aspect} of reviews v2: {told}, before " in render_text(found)


def test_a_tunnel_is_one_of_connections_without_http():
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db, namespace: default}
spec: {host: HOST, trafficPolicy: {tunnel: {targetHost: far.example, targetPort: 1, protocol: CONNECT}}}
---
"""
    found = difference("", rule.replace("HOST", "db")).changes
    assert [change.new.told.get("tunnel of db") for change in found] == ["CONNECT to far.example:1", None]
    assert not [change for change in difference("", rule.replace("HOST", "reviews")).changes
                if "tunnel of reviews" in change.new.told]  # fmt: skip


def test_clients_without_a_label_that_rules_ask_for_are_the_others():
    asked = JASON.replace("{end-user", "{end-user").replace("jason}}", "jason}}, sourceLabels: {app: a}")
    (change,) = difference(subsets() + rules(JASON + CANARY), subsets() + rules(asked + CANARY)).changes
    assert set(change.clients) <= {"other clients", "other clients in default"}


def test_a_snapshot_travels_and_is_laid_under_a_change():
    whole = snapshot(subsets() + GATEWAY + rules(CANARY), "old.yaml")
    carried = decode_snapshot(encode_snapshot(whole))
    assert compare(compile_tables(whole), compile_tables(carried)).changes == ()
    loaded = load_text(rules(ALL), "change.yaml")
    change = Store().apply("change", loaded.objects)
    found = compare(compile_tables(carried), compile_tables(overlay(carried, change)))
    assert [each.new.told["to"] for each in found.changes] == ["reviews v2"]
    with pytest.raises(CarryError):
        decode_snapshot(b"\x93")


@pytest.fixture
def folders(tmp_path):
    for name, text in (("old", rules(CANARY)), ("new", rules(ALL))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(SERVICES + subsets() + text)
    (tmp_path / "change.yaml").write_text(rules(ALL))
    return tmp_path


def run(folders, *arguments, text=None):
    return CliRunner().invoke(command, [str(folders / each) if "ml" in each or each in ("old", "new") else each
                                        for each in arguments], input=text)  # fmt: skip


def test_the_exit_code_says_whether_something_changes(folders):
    assert run(folders, "old", "new").exit_code == 3
    done = run(folders, "old", "old/a.yaml")
    assert (done.exit_code, done.stdout) == (0, "nothing changes\n")
    assert run(folders, "old", "old").exit_code == 2 and run(folders, "old", "new/none.yaml").exit_code == 2


def test_errors_of_the_new_side_are_no_changes(folders):
    """What is refused is left out of the comparison, and of no agent that runs."""
    (folders / "new" / "a.yaml").write_text(SERVICES + subsets() + rules(ALL).replace("http:", "htp:"))
    done = run(folders, "old", "new")
    assert done.exit_code == 1 and "unknown field `htp`" in done.stderr and "mend them first" in str(done.exception)
    assert run(folders, "new", "old").exit_code == 3


@pytest.mark.parametrize("wrong", ["0", "-1", "soon"])
def test_a_time_is_more_than_none(folders, wrong):
    assert run(folders, "old", "new", "--time", wrong).exit_code == 2


def test_nothing_on_standard_input_is_an_error(folders):
    done = run(folders, "-", "new", text="\n")
    assert done.exit_code == 1 and "nothing on standard input" in str(done.exception)


def test_a_change_alone_is_laid_over_the_rest(folders):
    assert "now go to reviews v2" in run(folders, "old", "change.yaml", "--over").stdout


def test_a_cluster_comes_by_standard_input(folders):
    done = run(folders, "-", "new", text=SERVICES + subsets() + rules(CANARY))
    assert done.exit_code == 3 and "<stdin>:" in done.stdout


def test_json_and_markdown(folders):
    found = json.loads(run(folders, "old", "new", "--format", "json").stdout)
    (change,) = found["changes"]
    assert change["new"]["told"]["to"] == "reviews v2" and change["example"]["method"] == "GET" and not found["cut"]
    markdown = run(folders, "old", "new", "--format", "markdown").stdout
    assert "| all requests | 75 % reviews v1, 25 % reviews v2 | reviews v2 |" in markdown


def test_names_do_not_leave_their_cells():
    evil = JASON.replace("jason", "'a|b<script>'") + CANARY
    markdown = render_markdown(difference(subsets() + rules(CANARY), subsets() + rules(evil)))
    assert "a\\|b\\<script\\>" in markdown
