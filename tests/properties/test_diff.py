"""What `nodemesh diff` names against brute force: every class differs, and no request that differs is missed."""

import json
from itertools import product
from urllib.parse import urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from nodemesh.config.load import load_text
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.diff.compare import compare
from nodemesh.routing.diff.sides import TablesLookup
from nodemesh.routing.diff.spots import WAY
from nodemesh.routing.diff.told import Teller
from nodemesh.routing.request import Request
from nodemesh.routing.views import Views

HOST = "web.default.svc.cluster.local"

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: default}
spec: {host: web, subsets: [{name: v1, labels: {v: '1'}}, {name: v2, labels: {v: '2'}}, {name: v3, labels: {v: '3'}}]}
---
"""

# What the universe has of each part: every value that a rule can ask for, and others.
PATHS = (b"/", b"/a", b"/a/b", b"/ab", b"/b", b"/A", b"/z")
METHODS = (b"GET", b"POST", b"PUT")
X = (None, b"", b"1", b"12", b"2", b"z")
Y = (None, b"1", b"z")
Q = (None, b"1", b"z")
LABELS = ({}, {"app": "page"})

paths = st.one_of(
    st.sampled_from(["/", "/a", "/a/b", "/b"]).flatmap(
        lambda path: st.sampled_from([{"exact": path}, {"prefix": path}])
    ),
    st.sampled_from(["/a.*", "/[ab]", ".*b", "/(a|b)/?.*"]).map(lambda regex: {"regex": regex}),
)
texts = st.sampled_from([{"exact": "1"}, {"exact": "2"}, {"prefix": "1"}, {"regex": "[12]+"}, {"regex": "*"}, {}])
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": paths,
        "ignoreUriCase": st.booleans(),
        "method": st.sampled_from([{"exact": "GET"}, {"exact": "POST"}]),
        "headers": st.dictionaries(st.sampled_from(["x", "y"]), texts, min_size=1),
        "withoutHeaders": st.dictionaries(st.sampled_from(["x", "y"]), texts, min_size=1, max_size=1),
        "queryParams": st.fixed_dictionaries({"q": st.sampled_from([{"exact": "1"}, {"regex": "[0-9]"}])}),
        "sourceLabels": st.just({"app": "page"}),
    },
).map(lambda match: {key: value for key, value in match.items() if key != "ignoreUriCase" or "uri" in match})
subsets = st.sampled_from(["v1", "v2", "v3"])
rules = st.fixed_dictionaries(
    {"route": subsets.map(lambda name: [{"destination": {"host": "web", "subset": name}}])},
    optional={"match": st.lists(matches, min_size=1, max_size=2), "timeout": st.just("1s")},
)
rule_sets = st.lists(rules, max_size=5)


@st.composite
def pairs(draw):
    """A rule set, and another one or an edited one."""
    old = draw(rule_sets)
    if draw(st.booleans()):
        return old, draw(rule_sets)
    new = list(old)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(new)))
        deed = draw(st.sampled_from(["insert", "remove", "swap"]))
        if deed == "insert":
            new.insert(place, draw(rules))
        elif new and deed == "remove":
            new.pop(place % len(new))
        elif new:
            other = draw(st.integers(0, len(new) - 1))
            new[place % len(new)], new[other] = new[other], new[place % len(new)]
    return old, new


def tables_of(http):
    rules = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"hosts": ["web"], "http": http},
    }
    loaded = load_text(SERVICE + (json.dumps(rules, indent=1) if http else ""), "a.yaml")
    return compile_tables(Store().apply("a", loaded.objects))  # what is refused counts as left out


def request(path, method=b"GET", x=None, y=None, q=None):
    headers = {name: value for name, value in ((b"x", x), (b"y", y)) if value is not None}
    return Request(method, b"http", HOST.encode(), path, b"q=" + q if q is not None else b"", headers)


class Side:
    """One version, asked request by request."""

    def __init__(self, tables):
        views = Views(tables)
        self.views = [views.for_client(Client(namespace="default", labels=labels)) for labels in LABELS]
        self.frontends = [view.frontend_for_host(HOST, 80) for view in self.views]
        self.teller = Teller("default", 80, TablesLookup(tables))

    def answer(self, labels, asked):
        number = LABELS.index(labels)
        decision = self.views[number].http(self.frontends[number], asked)
        return self.teller.tell(decision), str(decision.rule)


def labels_of(change):
    """The labels that the clients of a change have; all of them where it says nothing."""
    if not change.clients:
        return LABELS
    return tuple({"app": "page"} if "app=page" in text else {} for text in change.clients)


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_every_class_differs_and_none_is_missed(pair):
    versions = [tables_of(http) for http in pair]
    old, new = map(Side, versions)
    found = compare(*versions)
    assert not found.cut
    ways = [change for change in found.changes if WAY in change.aspects]
    changes = [change for change in found.changes if change not in ways]
    modes = [side.frontends[0].mode for side in (old, new)]
    assert [change.host for change in ways] == [HOST] * (modes[0] is not modes[1])
    for change in changes:
        parts = urlsplit(change.example.url)
        query = parts.query.partition("=")[2].encode() if parts.query else None
        fields = {name: value.encode() for name, value in change.example.headers.items()}
        asked = request(parts.path.encode(), change.example.method.encode(), fields.get("x"), fields.get("y"), query)
        for labels in labels_of(change):
            sides = old.answer(labels, asked)[0], new.answer(labels, asked)[0]
            assert sides == (change.old.told, change.new.told) and sides[0] != sides[1]
    named = {
        (
            labels.get("app"),
            tuple(change.old.told.items()),
            tuple(change.new.told.items()),
            change.old.rule,
            change.new.rule,
        )
        for change in changes
        for labels in labels_of(change)
    }
    for labels in LABELS:
        for path, method, x, y, q in product(PATHS, METHODS, X, Y, Q):
            asked = request(path, method, x, y, q)
            (before, rule), (after, other) = old.answer(labels, asked), new.answer(labels, asked)
            if before != after:
                key = (labels.get("app"), tuple(before.items()), tuple(after.items()), rule, other)
                assert key in named, (path, method, x, y, q)
