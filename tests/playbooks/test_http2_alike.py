"""Requests of one HTTP/2 connection that are the same to their last byte: what is known of them is true of all."""

from __future__ import annotations

import pytest

from nodemesh.sim.world import World

from .http1_peer import OK, split
from .http2_peer import dial
from .mesh import ROUTE, SERVICE, rule

TIMES = 5


def reached(world: World, fields: tuple[tuple[bytes, bytes], ...], times: int = TIMES) -> list[dict[bytes, bytes]]:
    """The same request so many times: what reached the endpoint of each."""
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    upstream = None
    found = []
    for _ in range(times):
        stream = client.ask(*fields, path=b"/same?q=1")
        upstream = upstream or server.accept()
        start, headers, _ = split(upstream.take())
        upstream.send(OK)
        client.turn()
        assert client.is_over(stream)
        found.append(headers | {b"start": start})
    return found


def changed(headers: str, rewrite: str = "") -> str:
    return SERVICE + rule(f"headers: {{request: {headers}}}\n{rewrite}{ROUTE}")


def test_each_has_an_identifier_of_its_own():
    found = reached(World(changed("{set: {x-mesh: 'a'}, add: {x-more: 'b'}}", "rewrite: {uri: /other/}\n")), ())
    assert len({headers[b"x-request-id"] for headers in found}) == TIMES
    for headers in found:
        assert headers[b"x-mesh"] == b"a" and headers[b"x-more"] == b"b"
        assert (
            headers[b"start"] == b"GET /other/same?q=1 HTTP/1.1" and headers[b"x-envoy-original-path"] == b"/same?q=1"
        )


def test_an_identifier_that_came_or_that_a_rule_has_said_stays():
    came = reached(World(SERVICE), ((b"x-request-id", b"mine"),))
    said = reached(World(changed("{set: {x-request-id: ours}}")), ())
    none = reached(World(changed("{remove: [x-request-id]}")), ())
    assert {headers[b"x-request-id"] for headers in came} == {b"mine"}
    assert {headers[b"x-request-id"] for headers in said} == {b"ours"}
    assert not any(b"x-request-id" in headers for headers in none)


def test_values_with_variables_are_those_of_each():
    found = reached(World(changed("{set: {x-id: '%REQ(x-request-id)% %REQ(x-a)%'}}")), ((b"x-a", b"1"),))
    values = {headers[b"x-id"] for headers in found}
    assert values == {headers[b"x-request-id"] + b" 1" for headers in found} and len(values) == TIMES


@pytest.mark.parametrize("said", ["x-envoy-upstream-rq-timeout-ms", "grpc-timeout"])
def test_what_steers_a_call_steers_all(said):
    value = b"7000" if said.startswith("x-") else b"7S"
    fields = ((said.encode(), value), (b"content-type", b"application/grpc"))
    found = reached(World(SERVICE), fields)
    assert {headers[b"x-envoy-expected-rq-timeout-ms"] for headers in found} == {b"7000"}


def test_new_rules_count_at_once():
    world = World(changed("{set: {x-mesh: 'before'}}"))
    server = world.serve("10.1.0.1", 9080)
    client = dial(world)
    upstream = None
    for number in range(3 * TIMES):
        if number and number % TIMES == 0:
            world.configure(changed(f"{{set: {{x-mesh: 'after {number}'}}}}"))
        client.ask(path=b"/same")
        upstream = upstream or server.accept()
        headers = split(upstream.take())[1]
        upstream.send(OK)
        client.turn()
        assert headers[b"x-mesh"] == (b"before" if number < TIMES else b"after %d" % (number // TIMES * TIMES))


def test_what_is_drawn_is_drawn_for_each():
    """By weight: none is remembered as the one."""
    text = "route:\n- {destination: {host: reviews}, weight: 50, headers: {request: {set: {x-way: a}}}}\n"
    text += "- {destination: {host: reviews}, weight: 50, headers: {request: {set: {x-way: b}}}}\n"
    found = reached(World(SERVICE + rule(text)), (), times=60)
    ways = [headers[b"x-way"] for headers in found]
    assert 10 < ways.count(b"a") < 50 and set(ways) == {b"a", b"b"}
