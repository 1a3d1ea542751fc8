"""Conversations by an HTTP rule: faults, mirrors, preflights, rewrites, redirects and headers."""

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import GET, OK, ask, split
from .mesh import ROUTE, SERVICE, rule


def test_a_copy_ends_with_an_original_that_is_never_complete():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    world.serve("10.1.0.1", 9080)
    shadow = world.serve("10.1.0.7", 9080)
    client = ask(world, b"POST / HTTP/1.1\r\nHost: reviews\r\nContent-Length: 6\r\n\r\nabc")
    copy = shadow.accept()
    client.reset()
    world.run()
    assert copy.take().endswith(b"abc") and copy.closed
    assert all(target.limits.requests.active == 0 for target in world.proxy.targets.values())
    assert [record.reasons for record in world.records] == [(Reason.DOWNSTREAM_CONNECTION_TERMINATION,)] * 2


def test_a_fault_delays_and_another_aborts():
    fault = "fault: {delay: {fixedDelay: 2s, percentage: {value: 100}}}\n"
    world = World(SERVICE + rule(fault + ROUTE))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world)
    world.advance(1.9)
    assert server.waiting == 0
    world.advance(0.2)
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200") and world.records[0].reasons == (Reason.FAULT_DELAY,)

    world = World(SERVICE + rule("fault: {abort: {httpStatus: 555, percentage: {value: 100}}}\n" + ROUTE))
    client = ask(world)
    start, _, body = split(client.take())
    assert start.startswith(b"HTTP/1.1 555") and body == b"fault filter abort"
    assert world.records[0].reasons == (Reason.FAULT_ABORT,)


def test_a_mirror_gets_a_copy_and_its_answer_is_dropped():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server = world.serve("10.1.0.1", 9080)
    mirror = world.serve("10.1.0.7", 9080)
    client = ask(world, b"POST /m HTTP/1.1\r\nHost: reviews\r\nContent-Length: 4\r\n\r\nab")
    client.send(b"cd")
    world.run()
    copy = mirror.accept().take()
    assert copy.startswith(b"POST /m ") and copy.endswith(b"abcd") and b"host: reviews\r\n" in copy
    mirror.connections[0].send(OK.replace(b"200 OK", b"500 Bad"))
    world.run()
    assert not client.take()
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")
    assert sorted(record.status for record in world.records) == [200, 500]


def test_a_mirror_that_never_answers_is_given_up():
    other = SERVICE.replace("reviews", "ratings").replace("10.96.0.10", "10.96.0.11").replace("10.1.0.1", "10.1.0.7")
    world = World(SERVICE + "---" + other + rule(ROUTE + "\nmirror: {host: ratings, port: {number: 80}}"))
    server = world.serve("10.1.0.1", 9080)
    mirror = world.serve("10.1.0.7", 9080)
    client = ask(world)
    server.accept().send(OK)
    copy = mirror.accept()
    world.advance(60.0)
    assert client.take().startswith(b"HTTP/1.1 200") and not copy.closed
    world.advance(250.0)
    assert copy.closed and world.records[-1].reasons == (Reason.RESPONSE_TIMEOUT,)
    assert all(target.limits.requests.active == 0 for target in world.proxy.targets.values())


def test_preflights_are_answered_here():
    cors = "corsPolicy: {allowOrigins: [{exact: 'http://a'}], allowMethods: [GET, PUT], maxAge: 1h}\n"
    world = World(SERVICE + rule(cors + ROUTE))
    server = world.serve("10.1.0.1", 9080)
    client = ask(
        world,
        b"OPTIONS / HTTP/1.1\r\nHost: reviews\r\nOrigin: http://a\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
    )
    _, headers, _ = split(client.take())
    assert headers[b"access-control-allow-origin"] == b"http://a"
    assert headers[b"access-control-allow-methods"] == b"GET,PUT" and headers[b"access-control-max-age"] == b"3600"
    client.send(GET[:-2] + b"Origin: http://a\r\n\r\n")
    world.run()
    server.accept().send(OK[:-6] + b"\r\naccess-control-allow-origin: *\r\n\r\nhi")
    world.run()
    assert client.take().count(b"access-control-allow-origin: http://a") == 1


def test_rewrites_redirects_and_header_changes():
    text = (
        """
match: [{uri: {prefix: /a}}]
rewrite: {uri: /z, authority: other.example}
headers:
  request: {set: {x-set: v}, remove: [x-gone]}
  response: {add: {x-added: w}}
"""
        + ROUTE
    )
    world = World(SERVICE + rule(text))
    server = world.serve("10.1.0.1", 9080)
    client = ask(world, b"GET /a/b?q=1 HTTP/1.1\r\nHost: reviews\r\nX-Gone: 1\r\nX-Set: old\r\n\r\n")
    upstream = server.accept()
    start, headers, _ = split(upstream.take())
    assert start == b"GET /z/b?q=1 HTTP/1.1" and headers[b"host"] == b"other.example"
    assert headers[b"x-set"] == b"v" and b"x-gone" not in headers
    assert headers[b"x-envoy-original-path"] == b"/a/b?q=1"
    upstream.send(OK)
    world.run()
    assert split(client.take())[1][b"x-added"] == b"w"
    world = World(SERVICE + rule("redirect: {uri: /new, authority: b.example, redirectCode: 302}"))
    start, headers, _ = split(ask(world).take())
    assert start.startswith(b"HTTP/1.1 302") and headers[b"location"] == b"http://b.example/new?b=c"
