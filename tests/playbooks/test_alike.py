"""Requests of one connection that are the same to their last byte: what is known of them is true of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World

from .http1_peer import OK, split
from .http2_peer import dial
from .mesh import ROUTE, SERVICE, rule

TIMES = 5

Fields = tuple[tuple[bytes, bytes], ...]
Found = dict[bytes, bytes]


class Mesh:
    """One client's connection, of HTTP/1.1 or HTTP/2, to a mesh with these rules, and the endpoint behind."""

    def __init__(self, version: str, rules: str) -> None:
        self.world = World(rules)
        self._server = self.world.serve("10.1.0.1", 9080)
        self._upstream: Peer | None = None
        self._http2 = dial(self.world) if version == "HTTP/2" else None
        self._http1 = self.world.connect("10.96.0.10", 80)

    def ask(self, fields: Fields, target: bytes = b"/same?q=1") -> Found:
        """What reaches the endpoint of such a request, which is answered."""
        if self._http2 is not None:
            stream = self._http2.ask(*fields, path=target)
        else:
            lines = [b"GET " + target + b" HTTP/1.1", b"Host: reviews", *(b": ".join(field) for field in fields)]
            self._http1.send(b"\r\n".join((*lines, b"", b"")))
            self.world.run()
        self._upstream = self._upstream or self._server.accept()
        start, headers, _ = split(self._upstream.take())
        self._upstream.send(OK)
        if self._http2 is not None:
            self._http2.turn()
            assert self._http2.is_over(stream)
        else:
            self.world.run()
            assert self._http1.take().endswith(b"hi")
        return headers | {b"start": start}


Reached = Callable[..., list[Found]]


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def version(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def reached(version: str) -> Reached:
    """The same request so many times: what reached the endpoint of each."""

    def ask(rules: str, fields: Fields = (), times: int = TIMES) -> list[Found]:
        mesh = Mesh(version, rules)
        return [mesh.ask(fields) for _ in range(times)]

    return ask


def changed(headers: str, rewrite: str = "") -> str:
    return SERVICE + rule(f"headers: {{request: {headers}}}\n{rewrite}{ROUTE}")


def test_each_has_an_identifier_of_its_own(reached: Reached) -> None:
    found = reached(changed("{set: {x-mesh: 'a'}, add: {x-more: 'b'}}", "rewrite: {uri: /other/}\n"))
    assert len({headers[b"x-request-id"] for headers in found}) == TIMES
    for headers in found:
        assert headers[b"x-mesh"] == b"a" and headers[b"x-more"] == b"b"
        assert (
            headers[b"start"] == b"GET /other/same?q=1 HTTP/1.1" and headers[b"x-envoy-original-path"] == b"/same?q=1"
        )


def test_an_identifier_that_came_or_that_a_rule_has_said_stays(reached: Reached) -> None:
    came = reached(SERVICE, ((b"x-request-id", b"mine"),))
    said = reached(changed("{set: {x-request-id: ours}}"))
    none = reached(changed("{remove: [x-request-id]}"))
    assert {headers[b"x-request-id"] for headers in came} == {b"mine"}
    assert {headers[b"x-request-id"] for headers in said} == {b"ours"}
    assert not any(b"x-request-id" in headers for headers in none)


def test_values_with_variables_are_those_of_each(reached: Reached) -> None:
    found = reached(changed("{set: {x-id: '%REQ(x-request-id)% %REQ(x-a)%'}}"), ((b"x-a", b"1"),))
    values = {headers[b"x-id"] for headers in found}
    assert values == {headers[b"x-request-id"] + b" 1" for headers in found} and len(values) == TIMES


@pytest.mark.parametrize("said", ["x-envoy-upstream-rq-timeout-ms", "grpc-timeout"])
def test_what_steers_a_call_steers_all(reached: Reached, said: str) -> None:
    value = b"7000" if said.startswith("x-") else b"7S"
    fields = ((said.encode(), value), (b"content-type", b"application/grpc"))
    found = reached(SERVICE, fields)
    assert {headers[b"x-envoy-expected-rq-timeout-ms"] for headers in found} == {b"7000"}


def test_new_rules_count_at_once(version: str) -> None:
    mesh = Mesh(version, changed("{set: {x-mesh: 'before'}}"))
    for number in range(3 * TIMES):
        if number and number % TIMES == 0:
            mesh.world.configure(changed(f"{{set: {{x-mesh: 'after {number}'}}}}"))
        said = b"before" if number < TIMES else b"after %d" % (number // TIMES * TIMES)
        assert mesh.ask(())[b"x-mesh"] == said


def test_what_is_drawn_is_drawn_for_each(reached: Reached) -> None:
    """By weight: none is remembered as the one."""
    text = "route:\n- {destination: {host: reviews}, weight: 50, headers: {request: {set: {x-way: a}}}}\n"
    text += "- {destination: {host: reviews}, weight: 50, headers: {request: {set: {x-way: b}}}}\n"
    found = reached(SERVICE + rule(text), times=60)
    ways = [headers[b"x-way"] for headers in found]
    assert 10 < ways.count(b"a") < 50 and set(ways) == {b"a", b"b"}


@pytest.mark.parametrize(
    ("match", "fields", "target"),
    [
        ("headers: {x-a: {exact: '2'}}", ((b"x-a", b"2"),), b"/same?q=1"),
        ("uri: {exact: /other}", ((b"x-a", b"1"),), b"/other?q=1"),
        ("queryParams: {q: {exact: '2'}}", ((b"x-a", b"1"),), b"/same?q=2"),
    ],
)
def test_one_that_differs_in_one_place_is_decided_by_itself(
    version: str, match: str, fields: Fields, target: bytes
) -> None:
    text = f"match: [{{{match}}}]\nheaders: {{request: {{set: {{x-way: other}}}}}}\n{ROUTE}"
    mesh = Mesh(version, SERVICE + rule(text) + f"  - {ROUTE}\n")
    for _ in range(TIMES):
        assert b"x-way" not in mesh.ask(((b"x-a", b"1"),))
        assert mesh.ask(fields, target)[b"x-way"] == b"other"
