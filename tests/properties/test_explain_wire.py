"""`explain` answers what the wire does: for random rules and requests both come to the same rule."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.meshes import bookinfo, make, views_of

from nodemesh.proxy.http1.request import read_request
from nodemesh.routing.client import Client
from nodemesh.routing.explain import explain
from nodemesh.routing.fields import said_scheme

NAMES = [
    "upgrade", "connection", "te", "content-length", "cookie", "x-a", "x-b", "x-request-id", "x-forwarded-proto",
    "keep-alive", "http2-settings", "x-envoy-max-retries", "x-envoy-attempt-count", "expect", ":method", "host",
]  # fmt: skip
VALUES = [
    "", "1", "2", "1,2", "websocket", "h2c", "Upgrade", "upgrade, x-a", "close", "te", "trailers", "gzip, trailers",
    "a=1", "b=2", "https", "http",
]  # fmt: skip

texts = st.one_of(
    st.just({}),
    st.sampled_from(VALUES).map(lambda value: {"exact": value}),
    st.sampled_from(VALUES).map(lambda value: {"prefix": value}),
    st.sampled_from([".*", "[0-9]+", "(?i).*upgrade.*", "^(.*?;)?(b=2)(;.*)?$", "[0-9a-f-]{36}"]).map(
        lambda value: {"regex": value}
    ),
)
fields = st.dictionaries(st.sampled_from(NAMES), texts, max_size=2)
paths = st.sampled_from(["/", "/a", "/a/b", "/A", "/a/../b", "/a%2e", "/x?q=1", "/x?q=2&q=1", "/a#f", "/a?b#c"])
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": st.sampled_from([{"prefix": "/a"}, {"exact": "/b"}, {"regex": "/a.*"}, {"prefix": "/x"}]),
        "headers": fields,
        "withoutHeaders": fields,
        "queryParams": st.sampled_from([{"q": {"exact": "1"}}, {"q": {}}]),
        "method": st.sampled_from([{"exact": "GET"}, {"exact": "get"}]),
        "scheme": st.sampled_from([{"exact": "http"}, {"exact": "https"}]),
    },
)
rules = st.lists(st.lists(matches, max_size=2), min_size=1, max_size=4)
lines = st.lists(
    st.tuples(st.sampled_from(NAMES[:13]), st.sampled_from(VALUES)).filter(
        lambda pair: pair[0] != "content-length" or pair[1].isdigit()
    ),
    max_size=5,
).filter(lambda pairs: sum(name == "content-length" for name, _ in pairs) < 2)


def mesh(entries: list[list[Any]]) -> list[Any]:
    http = [{"match": match, "directResponse": {"status": 200 + index}} for index, match in enumerate(entries)]
    return [*bookinfo(), make("VirtualService", "reviews", {"hosts": ["reviews"], "http": http})]


def on_the_wire(view: Any, method: str, path: str, headers: list[tuple[str, str]]) -> Any:
    said = "".join(f"{name.title()}: {value}\r\n" for name, value in headers)
    head = read_request(f"{method} {path} HTTP/1.1\r\nHost: reviews:9080\r\n{said}"[:-2].encode(), b"http")
    head.scheme = said_scheme(head.headers, head.scheme)
    return view.http(view.frontend_for_host("reviews", 9080), head)


@settings(max_examples=400, deadline=None)
@given(rules, st.sampled_from(["GET", "get", "POST"]), paths, lines)
def test_explain_and_the_wire_come_to_the_same_rule(
    entries: list[list[Any]], method: str, path: str, headers: list[tuple[str, str]]
) -> None:
    views = views_of(*mesh(entries))
    client = Client(namespace="default")
    wire = on_the_wire(views.for_client(client), method, path, headers)
    said = explain(views, client, method, f"http://reviews:9080{path}", headers)
    assert (said.rule.path if said.rule else "") == wire.rule.path
    held = [step for step in said.steps if step.depth == 1 and step.text.startswith("http[")]
    assert said.rule is None or not held or held[-1].text == wire.rule.path.removeprefix("spec.")
