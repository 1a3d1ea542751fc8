"""Conversations by the Gateway API's routes: matches and their order, listeners and hosts, shares, filters, time."""

import pytest
from tests.routes import SERVED, gateway, mesh_route, route

from nodemesh.reasons import Reason
from nodemesh.sim.world import World

from .http1_peer import split
from .shop import CART, CART_IP, HTTP, LABELS, STOCK_REF, Shop, at_gateway, rule

# === matches


@pytest.mark.parametrize(
    ("prefix", "path", "held"),
    [
        ("/abc", "/abc", True),
        ("/abc", "/abc/", True),
        ("/abc", "/abc/d", True),
        ("/abc", "/abcd", False),
        ("/abc/", "/abc", True),
        ("/abc/", "/abcd", False),
        ("/", "/anything", True),
    ],
)
def test_a_prefix_counts_whole_segments(prefix, path, held):
    shop = at_gateway(rule(f"{{path: {{value: {prefix}}}}}"))
    assert shop.ask(path)[0] == (200 if held else 404)


def test_the_order_is_the_specification_s_over_all_routes():
    """Exact path, longest prefix, method, most headers, most parameters; then the oldest route."""
    text = gateway(HTTP)
    wide = rule("{path: {value: /a}}", backends=STOCK_REF)
    text += route("wide", wide, created=1)
    text += route("exact", rule("{path: {type: Exact, value: /a}}"), created=2)
    assert Shop(text).ask("/a")[2] == "cart"
    assert Shop(text).ask("/a/b")[2] == "stock"
    longer = gateway(HTTP) + route("wide", wide, created=1) + route("l", rule("{path: {value: /a/b}}"), created=2)
    assert Shop(longer).ask("/a/b/c")[2] == "cart"
    method = gateway(HTTP) + route("wide", wide, created=1)
    method += route("m", rule("{path: {value: /a}, method: GET}"), created=2)
    assert Shop(method).ask("/a")[2] == "cart" and Shop(method).ask("/a", method="PUT")[2] == "stock"
    headers = gateway(HTTP) + route("wide", wide, created=1)
    headers += route("h", rule("{path: {value: /a}, headers: [{name: X-A, value: b}]}"), created=2)
    assert Shop(headers).ask("/a", lines=["x-a: b"])[2] == "cart"
    assert Shop(headers).ask("/a", lines=["x-a: B"])[2] == "stock"  # values with their case
    query = gateway(HTTP) + route("wide", wide, created=1)
    query += route("q", rule("{path: {value: /a}, queryParams: [{name: q, value: '1'}]}"), created=2)
    assert Shop(query).ask("/a?q=1&q=2")[2] == "cart" and Shop(query).ask("/a?q=2&q=1")[2] == "stock"
    age = gateway(HTTP) + route("young", wide, created=2) + route("old", rule("{path: {value: /a}}"), created=1)
    assert Shop(age).ask("/a")[2] == "cart"
    expression = gateway(HTTP) + route("wide", wide, created=2)
    expression += route("e", rule("{path: {type: RegularExpression, value: '/a.*'}}"), created=1)
    assert Shop(expression).ask("/a")[2] == "stock" and Shop(expression).ask("/ab")[2] == "cart"


def test_grpc_methods_are_paths():
    rules = rule("{method: {service: shop.Cart, method: Add}}") + rule("{method: {service: shop.Cart}}", "", STOCK_REF)
    rules += rule("{method: {method: Ping}}", "", "{name: cart, port: 81}")
    shop = at_gateway(rules, kind="GRPCRoute")
    lines = ["content-type: application/grpc"]
    assert shop.ask("/shop.Cart/Add", method="POST", lines=lines)[2] == "cart"
    assert shop.ask("/shop.Cart/Drop", method="POST", lines=lines)[2] == "stock"
    assert shop.ask("/any.Thing/Ping", method="POST", lines=lines)[2] == "cart alt"
    status, fields, _ = shop.ask("/any.Thing/Pong", method="POST", lines=lines)
    assert (status, fields[b"grpc-status"]) == (200, b"12")  # UNIMPLEMENTED


def test_of_grpc_routes_the_host_counts_then_service_method_headers_and_age():
    def call(text, host="a.shop.example", lines=()):
        shop = Shop(gateway(HTTP) + text)
        return shop.ask("/shop.Cart/Add", host, "POST", lines=["content-type: application/grpc", *lines])[2]

    def pair(first, second, first_host="", second_host=""):
        text = route("first", rule(first), hosts=first_host, kind="GRPCRoute", created=2)
        return text + route("second", rule(second, backends=STOCK_REF), hosts=second_host, kind="GRPCRoute", created=1)

    whole, service = "{method: {service: shop.Cart, method: Add}}", "{method: {service: shop.Cart}}"
    method = "{method: {method: Add}}"
    assert call(pair(service, whole, "[a.shop.example]", "['*.shop.example']")) == "cart"
    assert call(pair(service, whole, "['*.shop.example']", "['*.example']")) == "cart"
    assert call(pair(whole, service)) == "cart" and call(pair(service, method)) == "cart"
    headed = "{method: {service: shop.Cart, method: Add}, headers: [{name: x, value: '1'}]}"
    assert call(pair(headed, whole), lines=["x: 1"]) == "cart" and call(pair(headed, whole)) == "stock"
    assert call(pair(whole, whole)) == "stock"  # the older


def test_of_several_header_lines_all_count_of_several_parameters_the_first():
    headers = "[{name: X-A, value: 'b,c'}]"
    shop = at_gateway(rule(f"{{headers: {headers}}}") + rule("{queryParams: [{name: Q, value: '1'}]}", "", STOCK_REF))
    assert shop.ask(lines=["x-a: b", "X-a: c"])[2] == "cart"
    assert shop.ask(lines=["x-a: c"])[0] == 404
    assert shop.ask("/?Q=1&Q=2")[2] == "stock"
    assert shop.ask("/?q=1")[0] == 404 and shop.ask("/?Q=2&Q=1")[0] == 404


def test_a_service_without_endpoints_answers_503_for_its_share():
    backends = "{name: cart, port: 80, weight: 3}, {name: bare, port: 80, weight: 1}"
    shop = at_gateway(rule(backends=backends))
    statuses = [shop.ask()[0] for _ in range(200)]
    assert set(statuses) == {200, 503} and 25 <= statuses.count(503) <= 75


def test_hostnames_of_mesh_routes_count_for_nothing():
    shop = Shop(mesh_route("r", rule(), hosts="[a.example]"))
    assert shop.ask(at=CART_IP, host="b.example")[2] == "cart"


# === listeners and hosts


def test_a_host_belongs_to_the_most_specific_listener_alone():
    text = gateway(
        "{name: any, port: 80, protocol: HTTP}", "{name: wide, port: 80, protocol: HTTP, hostname: '*.example'}"
    )
    text += route("r", rule(), parents="[{name: edge, sectionName: any}]")
    shop = Shop(text)
    assert shop.ask(host="elsewhere.test")[0] == 200
    assert shop.ask(host="a.example")[0] == 404  # never the next listener's


def test_the_more_specific_host_of_a_route_comes_first_and_ports_do_not_count():
    text = gateway(HTTP) + route("wide", rule(backends=STOCK_REF), hosts="['*.example']", created=1)
    text += route("exact", rule(), hosts="[a.example]", created=2)
    shop = Shop(text)
    assert shop.ask(host="a.example:80")[2] == "cart"
    assert shop.ask(host="b.example")[2] == "stock"
    assert shop.ask(host="example")[0] == 404
    assert shop.arrived["cart"][1][b"host"] == b"a.example:80"  # passed on as it came


def test_a_gateway_of_another_name_serves_none_of_it():
    world = World(SERVED + gateway(HTTP, name="others") + route("r", rule(), parents="[{name: others}]"))
    assert world.arrive(80, LABELS, namespace="shop").closed


# === backends


def test_invalid_backends_answer_500_for_their_share():
    shop = at_gateway(rule(backends="{name: cart, port: 80, weight: 3}, {name: none, port: 80, weight: 1}"))
    statuses = [shop.ask()[0] for _ in range(400)]
    assert set(statuses) == {200, 500} and 60 <= statuses.count(500) <= 140
    reasons = {record.reasons for record in shop.world.records}
    assert (Reason.INVALID_BACKEND,) in reasons


@pytest.mark.parametrize(
    "rules",
    [
        rule(backends="{name: none, port: 80}"),
        rule(backends="{name: cart, port: 80, weight: 0}"),
        "- matches: [{path: {value: /}}]\n",
        rule(filters="{type: ExtensionRef, extensionRef: {group: a.example, kind: B, name: c}}"),
    ],
)
def test_a_rule_without_a_good_backend_answers_500(rules):
    assert at_gateway(rules).ask()[0] == 500


def test_weights_are_shares_and_zero_gets_nothing():
    shop = at_gateway(rule(backends="{name: cart, port: 80, weight: 9}, {name: stock, port: 80, weight: 1}"))
    names = [shop.ask()[2] for _ in range(400)]
    assert 15 <= names.count("stock") <= 70
    shop = at_gateway(rule(backends="{name: cart, port: 80, weight: 0}, {name: stock, port: 80}"))
    assert {shop.ask()[2] for _ in range(20)} == {"stock"}


def test_a_backend_has_filters_of_its_own():
    change = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: side, value: left}]}}"
    both = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: all, value: yes-all}]}}"
    rewrite = "{type: URLRewrite, urlRewrite: {hostname: left.example}}"
    moved = "{type: RequestRedirect, requestRedirect: {hostname: moved.example}}"
    left = f"{{name: cart, port: 80, filters: [{change}, {rewrite}]}}"
    shop = at_gateway(rule(backends=f"{left}, {{name: stock, port: 80, filters: [{moved}]}}", filters=both))
    answers = [shop.ask("/x") for _ in range(60)]
    assert {status for status, _, _ in answers} == {200, 302}
    assert {fields.get(b"location") for status, fields, _ in answers if status == 302} == {b"http://moved.example/x"}
    fields = shop.arrived["cart"][1]
    assert (fields[b"side"], fields[b"all"], fields[b"host"]) == (b"left", b"yes-all", b"left.example")
    assert "stock" not in shop.arrived


# === filters


def test_header_values_are_literal():
    request = "{set: [{name: a, value: '%REQ(b)% 100%'}], add: [{name: c, value: d}], remove: [e]}"
    response = "{set: [{name: server-said, value: '%no%'}], add: [{name: more, value: '1'}]}"
    filters = f"{{type: RequestHeaderModifier, requestHeaderModifier: {request}}}, "
    filters += f"{{type: ResponseHeaderModifier, responseHeaderModifier: {response}}}"
    shop = at_gateway(rule(filters=filters))
    _, fields, _ = shop.ask(lines=["b: x", "c: first", "e: gone"])
    arrived = shop.arrived["cart"][1]
    sent = shop.raw["cart"].lower()
    assert arrived[b"a"] == b"%REQ(b)% 100%" and b"e" not in arrived
    assert b"c: first\r\n" in sent and b"c: d\r\n" in sent
    assert (fields[b"server-said"], fields[b"more"]) == (b"%no%", b"1")


@pytest.mark.parametrize(
    ("path", "prefix", "new", "found"),
    [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo", "/foo", "", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo/", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo/bar?q=1", "/foo", "/xyz", "/xyz/bar?q=1"),
        ("/foo", "/", "/xyz", "/xyz/foo"),
    ],
)
def test_a_prefix_is_replaced_by_segments(path, prefix, new, found):
    modifier = f"{{type: ReplacePrefixMatch, replacePrefixMatch: '{new}'}}"
    match = f"{{path: {{value: {prefix}}}}}"
    shop = at_gateway(rule(match, f"{{type: URLRewrite, urlRewrite: {{path: {modifier}}}}}"))
    shop.ask(path)
    assert shop.arrived["cart"][0].split()[1].decode() == found
    redirect = f"- matches: [{match}]\n  filters: [{{type: RequestRedirect, requestRedirect: {{path: {modifier}}}}}]\n"
    assert at_gateway(redirect).ask(path, host="a.example")[1][b"location"].decode() == f"http://a.example{found}"


@pytest.mark.parametrize(
    ("redirect", "port", "host", "location"),
    [
        ("{hostname: b.example}", 80, "a.example", "http://b.example/p?q=1"),
        ("{scheme: https}", 80, "a.example", "https://a.example/p?q=1"),
        ("{scheme: https}", 8080, "a.example:8080", "https://a.example/p?q=1"),  # the scheme's own port
        ("{hostname: b.example}", 8080, "a.example:8080", "http://b.example:8080/p?q=1"),  # the listener's
        ("{port: 80}", 8080, "a.example:8080", "http://a.example/p?q=1"),
        ("{port: 443, scheme: https}", 80, "a.example", "https://a.example/p?q=1"),
        ("{port: 8443, scheme: https}", 80, "a.example", "https://a.example:8443/p?q=1"),
        ("{path: {type: ReplaceFullPath, replaceFullPath: /new}}", 80, "a.example", "http://a.example/new?q=1"),
    ],
)
def test_redirects(redirect, port, host, location):
    text = gateway(HTTP, "{name: alt, port: 8080, protocol: HTTP}")
    text += route("r", f"- filters: [{{type: RequestRedirect, requestRedirect: {redirect}}}]\n")
    status, fields, _ = Shop(text).ask("/p?q=1", host=host, port=port)
    assert (status, fields[b"location"].decode()) == (302, location)


def test_mirrors_repeat_and_have_their_share():
    first = "{type: RequestMirror, requestMirror: {backendRef: {name: stock, port: 80}}}"
    second = "{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 81}, fraction: FRACTION}}"
    second = second.replace("FRACTION", "{numerator: 1, denominator: 4}")
    change = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}"
    shop = at_gateway(rule(filters=f"{first}, {second}, {change}"))
    names = [shop.ask()[2] for _ in range(200)]
    assert all(name.startswith("cart") and name.endswith("stock") for name in names)
    assert 25 <= sum("alt" in name for name in names) <= 80
    assert shop.arrived["stock"][1][b"a"] == b"b"


CORS = (
    "{type: CORS, cors: {allowOrigins: ['http://*.a.example', 'http://b.example:81'], allowMethods: [GET, PUT], "
    "allowHeaders: [x-a], exposeHeaders: [x-b], allowCredentials: true}}"
)


@pytest.mark.parametrize(
    ("origin", "held"),
    [
        ("http://x.a.example", True),
        ("http://y.x.a.example", True),
        ("https://x.a.example", False),
        ("http://a.example", False),
        ("http://b.example:81", True),
        ("http://b.example", False),
    ],
)
def test_cors_by_origin(origin, held):
    shop = at_gateway(rule(filters=CORS))
    lines = [f"origin: {origin}", "access-control-request-method: PUT"]
    status, fields, name = shop.ask(method="OPTIONS", lines=lines)
    assert status == 200 and not name
    allowed = {key: value for key, value in fields.items() if key.startswith(b"access-control-")}
    if not held:
        assert not allowed
        return
    assert allowed == {
        b"access-control-allow-origin": origin.encode(),
        b"access-control-allow-credentials": b"true",
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": b"x-a",
        b"access-control-expose-headers": b"x-b",
        b"access-control-max-age": b"5",
    }
    _, fields, _ = shop.ask(lines=lines[:1])
    assert fields[b"access-control-allow-origin"] == origin.encode()


# === time


def test_timeouts_are_for_the_request_and_for_each_try():
    for timeouts, seconds in (("{request: 2s}", 2), ("{backendRequest: 1500ms}", 1.5)):
        world = World(SERVED + gateway(HTTP) + route("r", rule(more=f"  timeouts: {timeouts}\n")))
        world.serve(CART, 8080)
        client = world.arrive(80, LABELS, namespace="shop")
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        world.advance(seconds - 0.2)
        assert not client.inbox
        world.advance(0.4)
        assert split(client.take())[0].split()[1] == b"504"


def test_retries_by_code_wait_at_least_the_backoff_and_pass_the_last_answer_on():
    more = "  retry: {codes: [503], attempts: 2, backoff: 200ms}\n"
    world = World(SERVED + gateway(HTTP) + route("r", rule(more=more)))
    server = world.serve(CART, 8080)
    client = world.arrive(80, LABELS, namespace="shop")
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    began = world.clock.now
    for count in range(3):
        world.run()
        while not server.waiting:
            world.advance(0.01)
        assert world.clock.now - began >= 0.2 * count
        upstream = server.accept()
        upstream.take()
        upstream.send(b"HTTP/1.1 503 Busy\r\ncontent-length: 1\r\nconnection: close\r\n\r\n%d" % count)
        upstream.end()
    world.run()
    assert client.take().endswith(b"2") and not server.waiting


def test_a_retry_stanza_retries_broken_connections_whatever_its_codes():
    world = World(SERVED + gateway(HTTP) + route("r", rule(more="  retry: {attempts: 1}\n")))
    server = world.serve(CART, 8080)
    client = world.arrive(80, LABELS, namespace="shop")
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    world.run()
    server.accept().reset()
    world.advance(1)
    server.accept().send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")
