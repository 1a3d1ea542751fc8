import pytest

from nodemesh.config.load import load_text
from nodemesh.registry.store import Store
from nodemesh.routing.lint import lint

GOOD = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.0.0.1, selector: {app: reviews}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.0.0.2, selector: {app: db}, ports: [{port: 5432, name: tcp}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain, annotations: {nodemesh.io/l7: always}}
spec: {clusterIP: 10.0.0.3, selector: {app: plain}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: prod}
spec: {clusterIP: 10.0.0.4, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: r1, labels: {app: reviews, version: v1}}
status: {podIP: 10.1.0.1}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  selector: {app: reviews}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example.com"]}]
"""


def virtual_service(spec, name="x", namespace="default"):
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}"


def destination_rule(spec, name="x", namespace="default"):
    head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{spec}"


def findings(*texts):
    objects = []
    for index, text in enumerate(texts):
        loaded = load_text(text, f"{index}.yaml")
        assert not [problem for problem in loaded.problems if problem.refused], loaded.problems
        objects += loaded.objects
    return lint(Store().apply("test", objects))


def route(host, extra=""):
    return f"  hosts: [db]\n  tcp:\n  - route:\n    - destination:\n        host: {host}\n{extra}"


UNDECLARED = """\
apiVersion: v1
kind: Service
metadata: {name: bare}
spec: {clusterIP: 10.0.0.9, selector: {app: reviews}, ports: [{port: 80}]}
"""
KEPT = UNDECLARED.replace("port: 80", "port: 80, name: grpc").replace(
    "name: bare", 'name: bare, annotations: {nodemesh.io/l7: "never"}'
)

MISTAKES = [
    ("unknown-host", virtual_service(route("revews")), 9, "revews.default.svc.cluster.local"),
    ("unknown-host", virtual_service(route("ratings")), 9, "did you mean ratings.prod.svc.cluster.local?"),
    ("unknown-host", virtual_service(route("ratings.prod")), 9, "write ratings.prod.svc.cluster.local"),
    ("unknown-subset", virtual_service(route("reviews", "        subset: v2\n")), 10, "it has v1"),
    ("unknown-port", virtual_service(route("db", "        port: {number: 99}\n")), 10, "only 5432"),
    ("unregistered-host", virtual_service("  hosts: [nobody]\n  http: [{redirect: {uri: /}}]\n"), 5, "port 80 only"),
    (
        "empty-subset",
        destination_rule("  host: plain\n  subsets:\n  - name: v9\n    labels: {version: v9}\n"),
        8,
        "version=v9",
    ),
    ("rule-not-seen", destination_rule("  host: db.default.svc.cluster.local\n", namespace="prod"), 5, "in default"),
    (
        "conflicting-virtual-service",
        virtual_service("  hosts: [reviews]\n  http: [{redirect: {uri: /}}]\n"),
        5,
        "VirtualService default/reviews (0.yaml:31:1)",
    ),
    (
        "unknown-gateway",
        virtual_service("  hosts: [a.b]\n  gateways: [gw2]\n  http: [{redirect: {uri: /}}]\n"),
        6,
        "gw2",
    ),
    (
        "host-not-exposed",
        virtual_service("  hosts: [a.b]\n  gateways: [gw]\n  http: [{redirect: {uri: /}}]\n"),
        5,
        "*.example.com",
    ),
    ("protocol-hides-rules", virtual_service("  hosts: [db]\n  http: [{redirect: {uri: /}}]\n"), 5, "5432 `tcp` TCP"),
    (
        "undeclared-protocol",
        virtual_service("  hosts: [plain]\n  http: [{redirect: {uri: /}}]\n"),
        5,
        "8080 undeclared",
    ),
    ("pinned-streams", UNDECLARED, 1, "80 undeclared of bare.default.svc.cluster.local is balanced per connection"),
    ("pinned-streams", KEPT, 1, "set nodemesh.io/l7 to auto"),
    (
        "upgrade-ignored",
        destination_rule("  host: plain\n  trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}\n"),
        4,
        "8080 undeclared",
    ),
    (
        "no-weight",
        virtual_service(
            "  hosts: [db]\n  tcp:\n  - route:\n    - destination: {host: db}\n      weight: 1\n"
            "    - destination: {host: reviews}\n      weight: 0\n"
        ),
        11,
        "no traffic",
    ),
    (
        "policy-ignored",
        "---\n".join(
            destination_rule("  host: db\n  trafficPolicy:\n    loadBalancer: {simple: RANDOM}\n", name)
            for name in ("p1", "p2")
        ),
        14,
        "default/p1",
    ),
    (
        "unknown-delegate",
        virtual_service("  hosts: [plain]\n  http:\n  - delegate: {name: gone}\n"),
        7,
        "VirtualService default/gone",
    ),
]


@pytest.mark.parametrize(
    ("code", "text", "line", "part"), MISTAKES, ids=[f"{m[0]}-{i}" for i, m in enumerate(MISTAKES)]
)
def test_each_mistake_is_named_with_its_line(code, text, line, part):
    found = [problem for problem in findings(GOOD, text) if problem.code == code]
    assert len(found) == 1, findings(GOOD, text)
    assert (found[0].location.file, found[0].location.line) == ("1.yaml", line), found[0]
    assert part in found[0].message
    assert not found[0].refused


def test_a_good_mesh_has_no_findings_but_that_some_services_have_no_pods():
    assert {problem.code for problem in findings(GOOD)} == {"service-without-endpoints"}


def test_rules_alone_are_not_held_against_an_empty_registry():
    assert findings(virtual_service(route("anything"))) == ()


@pytest.mark.parametrize(("pattern", "costly"), [("/{}/(([^/]+-){{30}}[0-9]+){{30}}x", True), ("/{}/[a-z]+", False)])
def test_expressions_that_are_no_single_pass(pattern, costly):
    rules = "".join(f"  - match: [{{uri: {{regex: '{pattern.format(number)}'}}}}]\n" for number in range(16))
    text = GOOD + (
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: many}\n"
        "spec:\n  hosts: [ratings.prod.svc.cluster.local]\n  http:\n"
        + rules.replace("]\n", "]\n    route: [{destination: {host: reviews}}]\n")
    )
    loaded = load_text(text, "mesh.yaml")
    assert not loaded.problems
    codes = [problem.code for problem in lint(Store().apply("test", loaded.objects))]
    assert codes.count("costly-regexes") == costly
