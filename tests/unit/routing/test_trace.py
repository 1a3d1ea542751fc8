"""The recorder walks the rules by itself: it must come to the data path's own answer."""

import itertools

import pytest
from tests.meshes import bookinfo, make, request, view_of

from nodemesh.routing.tables import VirtualService
from nodemesh.routing.trace import Recorder, trace_http, why_first

CLAUSES = (
    {},
    {"uri": {"prefix": "/a"}},
    {"uri": {"exact": "/A"}, "ignoreUriCase": True},
    {"uri": {"regex": "/a/.*"}},
    {"headers": {"X-User": {"prefix": "j"}}},
    {"withoutHeaders": {"x-user": {"exact": "jason"}}, "method": {"exact": "POST"}},
    {"queryParams": {"q": {}}},
    {"sourceLabels": {"app": "web"}},
    {"port": 1},
    {"gateways": ["other"]},
)
PROBES = [
    request(path, method=method, headers=headers)
    for path in ("/", "/a", "/a/b?q=1")
    for method in ("GET", "POST")
    for headers in ({}, {"x-user": "jason"}, {"x-user": "john"})
]


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(range(len(CLAUSES)), 2)))
def test_the_trace_agrees_with_the_data_path(first, second):
    rules = [{"match": [CLAUSES[index]], "directResponse": {"status": 200 + index}} for index in (first, second)]
    view = view_of(*bookinfo(), make("VirtualService", "reviews", {"hosts": ["reviews"], "http": rules}))
    frontend = view.frontend("10.96.0.10", 9080)
    builder = view.builder()
    virtual_service = view.tables.virtual_services["default/reviews"]
    if not builder.http_rows(virtual_service, 9080):
        return  # no rule is for this client: the default route, which has no trace
    for probe in PROBES:
        traced = trace_http(Recorder(None), builder, virtual_service, 9080, probe)
        decided = view.http(frontend, probe)
        assert getattr(traced, "status", 404) == decided.status


def test_why_one_virtual_service_comes_before_another():
    def compiled(name, host, created=0.0, export_to=("*",)):
        return VirtualService(
            key=f"default/{name}", namespace="default", hosts=(host,), gateways=("mesh",), export_to=export_to,
            created=created,
        )  # fmt: skip

    exact, wild = compiled("a", "a.example", 2.0), compiled("b", "*.example", 1.0)
    assert why_first(exact, wild, "a.example") == "its host a.example is more specific than *.example"
    own = compiled("c", "a.example", 3.0, ("default",))
    assert why_first(own, exact, "a.example") == "it is exported to default alone"
    younger = compiled("d", "a.example", 4.0)
    assert why_first(exact, younger, "a.example") == "it is older"
    assert why_first(exact, exact, "a.example") == "both are of the same age, and its name comes first"
