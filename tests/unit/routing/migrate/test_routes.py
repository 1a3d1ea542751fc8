"""VirtualServices as routes: what comes out is valid, says the same, and what is lost is told at its place."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.routes import BASE

from nodemesh.cli.main import cli
from nodemesh.config.load import load_object, load_text
from nodemesh.registry.store import Store
from nodemesh.routing.migrate.routes import migrate

TESTS = Path(__file__).parents[3]
HEAD = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec:
"""


def migrated(spec):
    body = "\n".join("  " + line for line in spec.strip().splitlines())
    loaded = load_text(BASE + HEAD + body + "\n", "mesh.yaml")
    assert not [problem for problem in loaded.problems if problem.refused], loaded.problems
    (found,) = migrate(Store().apply("test", loaded.objects))
    return found


def only(spec):
    (route,) = migrated(spec).routes
    return route


def lost(found):
    return [note.path for note in found.notes if note.lost]


@pytest.mark.parametrize("folder", ["conformance/seeds", "conformance/support/specimens"])
def test_all_that_comes_out_is_valid(folder):
    routes = 0
    for path in sorted((TESTS / folder).glob("*.yaml")):
        for found in migrate(Store().apply("test", load_text(path.read_text(), path.name).objects)):
            for route in found.routes:
                routes += 1
                assert not load_object(route, "migrated").problems, (path.name, route)
            assert found.routes or lost(found)
    assert routes


def test_a_mesh_rule_stands_on_its_service():
    route = only("hosts: [cart]\nhttp: [{route: [{destination: {host: stock}}]}]")
    assert route["kind"] == "HTTPRoute" and route["metadata"] == {"name": "v", "namespace": "shop"}
    assert route["spec"] == {
        "parentRefs": [{"group": "", "kind": "Service", "name": "cart"}],
        "rules": [{"backendRefs": [{"name": "stock", "port": 80}]}],
    }


def test_hosts_of_gateways_are_hostnames():
    spec = "hosts: [a.example, '*.b.example']\ngateways: [edge, mesh]\nhttp: [{route: [{destination: {host: stock}}]}]"
    found = migrated(spec)
    route, *rest = found.routes
    assert route["spec"]["parentRefs"] == [{"name": "edge"}]
    assert route["spec"]["hostnames"] == ["a.example", "*.b.example"]
    assert not rest and lost(found) == ["spec.hosts[0]", "spec.hosts[1]"]  # of the mesh


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("{uri: {exact: /a}}", {"path": {"type": "Exact", "value": "/a"}}),
        ("{uri: {prefix: /a/}}", {"path": {"type": "PathPrefix", "value": "/a/"}}),
        ("{uri: {regex: '/a.*'}}", {"path": {"type": "RegularExpression", "value": "/a.*"}}),
        ("{uri: {exact: /a}, ignoreUriCase: true}", {"path": {"type": "RegularExpression", "value": "(?i)/a"}}),
        ("{method: {exact: GET}}", {"method": "GET"}),
        ("{headers: {x-a: {exact: b}}}", {"headers": [{"name": "x-a", "value": "b"}]}),
        (
            "{headers: {x-a: {prefix: b.}}}",
            {"headers": [{"type": "RegularExpression", "name": "x-a", "value": r"b\..*"}]},
        ),
        ("{headers: {x-a: {}}}", {"headers": [{"type": "RegularExpression", "name": "x-a", "value": ".*"}]}),
        ("{queryParams: {q: {exact: '1'}}}", {"queryParams": [{"name": "q", "value": "1"}]}),
    ],
)
def test_matches(match, found):
    route = only(f"hosts: [cart]\nhttp: [{{match: [{match}], route: [{{destination: {{host: stock}}}}]}}]")
    assert route["spec"]["rules"][0]["matches"] == [found]


@pytest.mark.parametrize(
    ("match", "path"),
    [
        ("{sourceLabels: {a: b}}", "sourceLabels"),
        ("{authority: {exact: a}}", "authority"),
        ("{withoutHeaders: {a: {exact: b}}}", "withoutHeaders"),
        ("{method: {regex: 'G.*'}}", "method"),
        ("{port: 80}", "port"),
    ],
)
def test_what_cannot_be_matched_takes_its_match_along(match, path):
    spec = f"hosts: [cart]\nhttp: [{{match: [{match}], route: [{{destination: {{host: stock}}}}]}}]"
    found = migrated(spec)
    assert found.routes == () and lost(found) == [f"spec.http[0].match[0].{path}", "spec.http[0].match"]
    assert all(note.location.line for note in found.notes)


def test_filters_times_and_shares():
    spec = """
hosts: [cart]
http:
- match: [{uri: {prefix: /a}}]
  rewrite: {uri: /b, authority: c.example}
  headers: {request: {set: {x: "100%%"}, remove: [z]}, response: {add: {q: r}}}
  mirrors: [{destination: {host: stock, port: {number: 80}}, percentage: {value: 12.5}}]
  timeout: 1500ms
  retries: {attempts: 3, retryOn: "503,connect-failure", perTryTimeout: 500ms, backoff: 25ms}
  route:
  - {destination: {host: cart, port: {number: 81}}, weight: 1, headers: {request: {set: {s: t}}}}
  - {destination: {host: stock}, weight: 3}
"""
    (rule,) = only(spec)["spec"]["rules"]
    kinds = [entry["type"] for entry in rule["filters"]]
    assert kinds == ["RequestHeaderModifier", "ResponseHeaderModifier", "URLRewrite", "RequestMirror"]
    assert rule["filters"][0]["requestHeaderModifier"] == {"set": [{"name": "x", "value": "100%"}], "remove": ["z"]}
    modifier = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"}
    assert rule["filters"][2]["urlRewrite"] == {"hostname": "c.example", "path": modifier}
    assert rule["filters"][3]["requestMirror"]["fraction"] == {"numerator": 125000, "denominator": 1000000}
    assert rule["timeouts"] == {"request": "1s500ms", "backendRequest": "500ms"}
    assert rule["retry"] == {"attempts": 3, "codes": [503], "backoff": "25ms"}
    assert [entry["weight"] for entry in rule["backendRefs"]] == [1, 3]
    assert rule["backendRefs"][0]["filters"][0]["requestHeaderModifier"] == {"set": [{"name": "s", "value": "t"}]}


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("fault: {abort: {httpStatus: 500, percentage: {value: 1}}}", "fault"),
        ("rewrite: {uriRegexRewrite: {match: a, rewrite: b}}", "rewrite.uriRegexRewrite"),
        ("retries: {attempts: 0}", "retries.attempts"),
        ("retries: {attempts: 1, retryOn: envoy-ratelimited}", "retries.retryOn"),
        ("headers: {request: {set: {a: '%PROTOCOL%'}}}", "headers.request.set.a"),
        ("corsPolicy: {allowOrigins: [{regex: 'h.*'}]}", "corsPolicy.allowOrigins[0]"),
    ],
)
def test_what_is_lost_is_told_and_the_rest_stays(rule, path):
    found = migrated(f"hosts: [cart]\nhttp:\n- {rule}\n  route: [{{destination: {{host: stock}}}}]")
    assert lost(found) == [f"spec.http[0].{path}"] and found.routes[0]["spec"]["rules"][0]["backendRefs"]


def test_answers_delegates_and_subsets_have_no_equivalent():
    assert lost(migrated("hosts: [cart]\nhttp: [{directResponse: {status: 200}}]")) == ["spec.http[0].directResponse"]
    assert lost(migrated("hosts: [cart]\nhttp: [{delegate: {name: d}}]")) == ["spec.http[0].delegate"]
    found = migrated("hosts: [cart]\nhttp: [{route: [{destination: {host: stock, subset: v2}}]}]")
    assert lost(found) == ["spec.http[0].route[0].destination.subset"]
    assert found.routes[0]["spec"]["rules"][0]["backendRefs"] == [{"name": "stock-v2", "port": 80}]


def test_an_order_that_changes_is_told():
    rules = "- match: [{uri: {prefix: FIRST}}]\n  route: [{destination: {host: stock}}]\n"
    spec = "hosts: [cart]\nhttp:\n" + rules.replace("FIRST", "/a/") + rules.replace("FIRST", "/a/b/")
    assert any("tried first now" in note.message for note in migrated(spec).notes)
    spec = "hosts: [cart]\nhttp:\n" + rules.replace("FIRST", "/a/b/") + rules.replace("FIRST", "/a/")
    assert not any("tried first now" in note.message for note in migrated(spec).notes)


def test_connections():
    spec = "hosts: [cart]\ntcp: [{route: [{destination: {host: stock, port: {number: 80}}}]}]"
    assert only(spec)["kind"] == "TCPRoute"
    spec = "hosts: [a.example]\ngateways: [edge]\n"
    spec += "tls: [{match: [{sniHosts: [a.example]}], route: [{destination: {host: stock}}]}]"
    assert only(spec)["spec"]["hostnames"] == ["a.example"]


def test_the_command_prints_yaml_and_tells_by_its_code_what_is_lost(tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text(BASE + HEAD + "  hosts: [cart]\n  http: [{route: [{destination: {host: stock}}]}]\n")
    result = CliRunner().invoke(cli, ["migrate", str(file)])
    assert result.exit_code == 0 and not load_text(result.stdout, "out").problems
    assert result.stderr == "1 VirtualService, 1 route, 0 things without an equivalent\n"
    file.write_text(BASE + HEAD + "  hosts: [cart]\n  http: [{directResponse: {status: 200}}]\n")
    result = CliRunner().invoke(cli, ["migrate", str(file), "--format", "json"])
    (row,) = json.loads(result.stdout)
    assert result.exit_code == 3 and row["virtualService"] == "shop/v" and row["notes"][0]["lost"]


def test_the_command_says_what_it_could_not_read(tmp_path):
    file = tmp_path / "v.yaml"
    good = BASE + HEAD + "  hosts: [cart]\n  http: [{route: [{destination: {host: stock}}]}]\n"
    file.write_text(good + HEAD.replace("name: v", "name: w") + "  hosts: cart\n")
    result = CliRunner().invoke(cli, ["migrate", str(file)])
    assert result.exit_code == 1 and "VirtualService shop/v" in result.stdout
    assert "(VirtualService shop/w, spec.hosts) [wrong-type]" in result.stderr


@pytest.mark.parametrize(
    ("tcp", "parents", "missing"),
    [
        ("match: [{port: 90}]", [{"port": 90}], []),
        ("match: [{port: 90}, {port: 90}]", [{"port": 90}], []),
        ("match: [{port: 90}, {port: 81}]", [{}], ["spec.tcp[0].match[0].port", "spec.tcp[0].match[1].port"]),
        ("match: [{port: 90}, {}]", [{}], ["spec.tcp[0].match[0].port"]),
    ],
)
def test_the_one_port_of_all_matches_is_the_parent_s(tcp, parents, missing):
    found = migrated(
        f"hosts: [cart]\ntcp: [{{{tcp}, route: [{{destination: {{host: stock, port: {{number: 80}}}}}}]}}]"
    )
    (made,) = found.routes
    service = {"group": "", "kind": "Service", "name": "cart"}
    assert made["spec"]["parentRefs"] == [service | more for more in parents] and lost(found) == missing


def test_case_is_ignored_in_plain_paths_alone_as_istio_does():
    spec = "hosts: [cart]\nhttp: [{match: [{ignoreUriCase: true, uri: {%s}}], route: [{destination: {host: stock}}]}]"
    for uri, value in (("regex: /a.*", "/a.*"), ("exact: /a.b", r"(?i)/a\.b"), ("prefix: /a.b", r"(?i)/a\.b.*")):
        path = only(spec % uri)["spec"]["rules"][0]["matches"][0]["path"]
        assert path == {"type": "RegularExpression", "value": value}


def test_a_rule_without_a_match_that_is_left_is_told_to_be_gone():
    rule = "{match: [{withoutHeaders: {a: {exact: b}}}], route: [{destination: {host: stock}}]}"
    found = migrated(f"hosts: [cart]\nhttp: [{rule}]")
    assert not found.routes and lost(found)[-1] == "spec.http[0].match"
