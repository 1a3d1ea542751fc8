"""The recorder walks the rules by itself: it must come to the data path's own answer."""

import itertools

import pytest
from tests.meshes import bookinfo, make, request, view_of

from nodemesh.routing.trace import Recorder, trace_http

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
