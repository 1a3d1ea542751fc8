"""Conversations of routes whose requests another service lets pass or not (GEP-1494)."""

import msgspec
import pytest
from tests.protobuf import grpc, header, message
from tests.routes import SERVED, gateway, mesh_route, route

from nodemesh.proxy.http.external_auth import LONGEST, MOST
from nodemesh.reasons import Reason
from nodemesh.sim.world import World
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.labels import HTTP_LABELS

from .http1_peer import split
from .http2_peer import Http2Peer
from .shop import CART, CART_IP, HTTP, LABELS, STOCK, rule

PLAIN = b"GET /a?b=c HTTP/1.1\r\nHost: h.example\r\nAuthorization: me\r\nX-Own: 1\r\nCookie: c=d\r\n\r\n"
ALLOWED = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/html\r\nX-User: ann\r\nX-Other: o\r\n\r\nok"


def auth(more="http: {}", protocol="HTTP", name="stock"):
    wish = f"protocol: {protocol}, backendRef: {{name: {name}, port: 80}}, {more}"
    return f"{{type: ExternalAuth, externalAuth: {{{wish}}}}}"


BY_GRPC = auth("grpc: {}", "GRPC")


class Guarded:
    """A route to `cart`, which `stock` lets requests pass to."""

    def __init__(self, filters=None, more=""):
        self.world = World(SERVED + gateway(HTTP) + route("r", rule(filters=filters or auth(), more=more)))
        self.cart, self.stock = (self.world.serve(address, 8080) for address in (CART, STOCK))
        self.client = self.world.arrive(80, LABELS, namespace="shop")

    def say(self, data):
        self.client.send(data)
        self.world.run()

    def asked(self):
        """The service's end of the question."""
        return self.stock.accept()

    def answered(self, data, upstream=None):
        upstream = upstream or self.asked()
        upstream.take()
        upstream.send(data)
        self.world.run()

    def passes(self):
        """The request as `cart` gets it, and is answered."""
        upstream = self.cart.accept()
        self.raw = upstream.take()
        got = split(self.raw)
        upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncart")
        self.world.run()
        assert split(self.client.take())[2] == b"cart"
        return got

    def refused(self):
        """Status, fields and body that the client gets, and `cart` knows nothing."""
        assert not self.cart.waiting
        start, fields, body = split(self.client.take())
        return int(start.split()[1]), fields, body


# === over HTTP


def test_the_service_is_asked_with_the_request_s_own_line_and_the_fields_that_are_allowed():
    shop = Guarded(auth("http: {path: /check/, allowedHeaders: [X-Own]}"))
    shop.say(PLAIN)
    start, fields, body = split(shop.asked().take())
    assert start == b"GET /check/a?b=c HTTP/1.1" and body == b""
    assert {name: fields[name] for name in (b"host", b"authorization", b"x-own")} == {
        b"host": b"h.example", b"authorization": b"me", b"x-own": b"1",
    }  # fmt: skip
    assert fields.keys() <= {b"host", b"authorization", b"x-own", b"content-length"}
    assert not shop.cart.waiting and not shop.client.take()


def test_what_passes_is_forwarded_with_the_answer_s_fields():
    shop = Guarded()
    shop.say(PLAIN)
    shop.answered(ALLOWED)
    start, fields, _ = shop.passes()
    assert start == b"GET /a?b=c HTTP/1.1" and fields[b"cookie"] == b"c=d"
    assert (fields[b"x-user"], fields[b"x-other"]) == (b"ann", b"o") and b"content-type" not in fields
    assert shop.world.records[-1].status == 200 and shop.world.records[-1].reasons == ()


def test_the_answer_s_fields_replace_the_client_s_and_a_list_says_which():
    shop = Guarded(auth("http: {allowedResponseHeaders: [X-User]}"))
    shop.say(PLAIN.replace(b"X-Own: 1", b"X-User: root"))
    shop.answered(ALLOWED)
    fields = shop.passes()[1]
    assert fields[b"x-user"] == b"ann" and b"x-other" not in fields


@pytest.mark.parametrize("status", [401, 403, 302, 204, 429])
def test_what_does_not_pass_gets_the_service_s_answer(status):
    shop = Guarded()
    shop.say(PLAIN)
    body = b"" if status == 204 else b"no"
    length = b"" if status == 204 else b"content-length: 2\r\n"
    shop.answered(
        b"HTTP/1.1 %d X\r\n%swww-authenticate: Basic\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n%s"
        % (status, length, body)
    )
    found, fields, said = shop.refused()
    assert (found, said) == (status, body) and fields[b"www-authenticate"] == b"Basic"
    assert shop.world.records[-1].reasons == (Reason.EXTERNAL_AUTH_DENIED,)
    assert shop.world.records[-1].attempts == 0


BROKEN = {
    "its own trouble": lambda shop: shop.answered(b"HTTP/1.1 503 Oh\r\ncontent-length: 0\r\n\r\n"),
    "a broken connection": lambda shop: shop.asked().reset(),
    "another protocol": lambda shop: shop.answered(b"what?\r\n\r\n"),
    "silence": lambda shop: (shop.asked().take(), shop.world.advance(LONGEST + 0.1)),
}


@pytest.mark.parametrize("trouble", BROKEN.values(), ids=BROKEN)
def test_whatever_goes_wrong_with_the_service_is_a_refusal(trouble):
    shop = Guarded()
    shop.say(PLAIN)
    trouble(shop)
    shop.world.advance(0.1)
    assert shop.refused()[0] == 403
    assert shop.world.records[-1].reasons == (Reason.EXTERNAL_AUTH_FAILED,)


def test_a_service_that_is_not_there_lets_nothing_pass():
    """The rule's own answer, 500, is that of backends that are not there."""
    shop = Guarded(auth(name="none"))
    shop.say(PLAIN)
    assert shop.refused()[0] == 500 and not shop.stock.waiting


def test_a_refusal_without_end_is_cut_off():
    shop = Guarded()
    shop.say(PLAIN)
    shop.answered(
        b"HTTP/1.1 401 X\r\ntransfer-encoding: chunked\r\n\r\n" + b"%x\r\n" % (MOST + 1) + b"x" * (MOST + 1) + b"\r\n"
    )
    status, _, body = shop.refused()
    assert (status, body) == (401, b"")


def test_the_route_s_own_timeout_may_be_shorter():
    shop = Guarded(more="  timeouts: {request: 1s}\n")
    shop.say(PLAIN)
    shop.asked()
    shop.world.advance(1.1)
    assert shop.refused()[0] == 403


def test_a_client_that_leaves_takes_its_question_along():
    shop = Guarded()
    shop.say(PLAIN)
    asked = shop.asked()
    shop.client.reset()
    shop.world.run()
    assert asked.closed or asked.ended
    assert not shop.cart.waiting
    (record,) = shop.world.records
    assert record.reasons == (Reason.DOWNSTREAM_CONNECTION_TERMINATION,)
    for target in shop.world.proxy.targets.values():
        assert target.limits.requests.active == 0


# === bodies

POST = b"POST / HTTP/1.1\r\nHost: h.example\r\nContent-Length: 10\r\n\r\n"


@pytest.mark.parametrize(("most", "shown"), [(0, b""), (4, b"0123"), (10, b"0123456789"), (99, b"0123456789")])
def test_the_service_sees_so_much_of_the_body_and_the_destination_all(most, shown):
    shop = Guarded(auth(f"http: {{}}, forwardBody: {{maxSize: {most}}}"))
    shop.say(POST + b"012")
    assert bool(shop.stock.waiting) is (most == 0)
    shop.say(b"3456")
    assert bool(shop.stock.waiting) is (most <= 4)
    shop.say(b"789")
    asked = shop.asked()
    _, fields, body = split(asked.take())
    assert body == shown and int(fields.get(b"content-length", b"0")) == len(shown)
    asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    shop.world.run()
    assert shop.passes()[2] == b"0123456789"
    assert shop.world.proxy.pods[1].gate.held == 0


# === over gRPC


def judged(shop):
    """The service's end, which speaks HTTP/2, and the stream of the question."""
    peer = Http2Peer(shop.world, shop.stock.accept(), client=False)
    return peer, peer.requests[-1]


def test_a_service_over_grpc_is_asked_in_envoy_s_words():
    shop = Guarded(BY_GRPC)
    shop.say(PLAIN)
    peer, stream = judged(shop)
    head = peer.head(stream)
    assert (head[b":method"], head[b":path"]) == (b"POST", b"/envoy.service.auth.v3.Authorization/Check")
    assert (head[b"content-type"], head[b"te"]) == (b"application/grpc", b"trailers")
    asked = peer.body(stream)
    for said in (b"/a?b=c", b"h.example", message((1, b"cookie"), (2, b"c=d"))):
        assert said in asked
    ok = message((2, header(b"x-user", b"ann")), (2, header(b"x-own", b"2", append=True)), (5, b"cookie"))
    peer.answer(
        stream, (b"content-type", b"application/grpc"), body=grpc(message((3, ok))), trailers=[(b"grpc-status", b"0")]
    )
    fields = shop.passes()[1]
    assert fields[b"x-user"] == b"ann" and b"cookie" not in fields
    assert [line for line in shop.raw.lower().split(b"\r\n") if line.startswith(b"x-own")] == [b"x-own: 1", b"x-own: 2"]


def test_a_service_over_grpc_gets_the_allowed_fields_alone():
    shop = Guarded(auth("grpc: {allowedHeaders: [x-own]}", "GRPC"))
    shop.say(PLAIN)
    peer, stream = judged(shop)
    assert b"x-own" in peer.body(stream) and b"cookie" not in peer.body(stream)


def test_a_service_over_grpc_says_what_the_client_gets():
    shop = Guarded(BY_GRPC)
    shop.say(PLAIN)
    peer, stream = judged(shop)
    denied = message((1, message((1, 401))), (2, header(b"www-authenticate", b"Basic")), (3, b"who"))
    answer = message((1, message((1, 16))), (2, denied))
    peer.answer(stream, (b"content-type", b"application/grpc"), body=grpc(answer), trailers=[(b"grpc-status", b"0")])
    status, fields, body = shop.refused()
    assert (status, fields[b"www-authenticate"], body) == (401, b"Basic", b"who")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (grpc(message((3, message((2, header(b"x\r\ny", b"1")))))), b"0"),
        (grpc(message((3, message((2, header(b"x", b"1\r\nz: 2")))))), b"0"),
        (b"junk!", b"0"),
        (grpc(b""), b"14"),
    ],
)
def test_an_answer_over_grpc_that_is_none_is_a_refusal(body, status):
    shop = Guarded(BY_GRPC)
    shop.say(PLAIN)
    peer, stream = judged(shop)
    peer.answer(stream, (b"content-type", b"application/grpc"), body=body, trailers=[(b"grpc-status", status)])
    assert shop.refused()[0] == 403


def answered_over_grpc(shop, ok):
    peer, stream = judged(shop)
    peer.answer(
        stream, (b"content-type", b"application/grpc"), body=grpc(message((3, ok))), trailers=[(b"grpc-status", b"0")]
    )


def test_a_service_over_grpc_never_says_how_a_message_is_framed_or_where_it_goes():
    shop = Guarded(BY_GRPC)
    shop.say(PLAIN)
    names = (b"transfer-encoding", b"connection", b"te", b"content-length", b"host", b":authority", b"trailer")
    answered_over_grpc(shop, message(*((2, header(name, b"x")) for name in names), (5, b"host")))
    fields = shop.passes()[1]
    assert fields[b"host"] == b"h.example" and not fields.keys() & set(names) - {b"host"}


def test_fields_for_the_response_come_with_the_upstream_s():
    shop = Guarded(BY_GRPC)
    shop.say(PLAIN)
    only_absent, instead, only_present = ((3, number) for number in (1, 2, 3))
    ok = message(
        (6, header(b"x-told", b"1")),
        (6, header(b"x-new", b"2") + message(only_absent)),
        (6, header(b"x-kept", b"3") + message(only_absent)),
        (6, header(b"x-gone", b"4") + message(instead)),
        (6, header(b"x-none", b"5") + message(only_present)),
        (6, header(b"transfer-encoding", b"chunked")),
    )
    answered_over_grpc(shop, ok)
    upstream = shop.cart.accept()
    upstream.take()
    upstream.send(b"HTTP/1.1 200 OK\r\nx-told: 0\r\nx-kept: k\r\nx-gone: g\r\ncontent-length: 2\r\n\r\nok")
    shop.world.run()
    raw = shop.client.take().lower()
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert sorted(line for line in lines if line[:3] in (b"x-t", b"x-n", b"x-k", b"x-g")) == [
        b"x-gone: 4", b"x-kept: k", b"x-new: 2", b"x-told: 0", b"x-told: 1",
    ]  # fmt: skip
    assert b"transfer-encoding" not in raw and raw.endswith(b"ok")


@pytest.mark.parametrize(
    ("filters", "answer", "status"),
    [(auth(), ALLOWED, "200"), (auth(), b"HTTP/1.1 403 no\r\ncontent-length: 0\r\n\r\n", "403")],
)
def test_a_question_is_counted_as_a_request_to_the_service_and_stands_in_no_log(filters, answer, status):
    shop = Guarded(filters)
    shop.say(PLAIN)
    shop.answered(answer)
    if shop.cart.waiting:
        shop.passes()
    shop.world.telemetry.account()
    assert len(shop.world.records) == 1
    counted = Dumped(shop.world.telemetry.dump()).requests("stock.shop.svc.cluster.local")
    assert counted == {status: 1}


def test_a_question_without_an_answer_is_counted_with_its_reason():
    shop = Guarded()
    shop.say(PLAIN)
    shop.asked().reset()
    shop.world.run()
    assert Dumped(shop.world.telemetry.dump()).requests("stock.shop.svc.cluster.local") == {"0": 1}


class Dumped:
    """What a worker has counted."""

    def __init__(self, data):
        self.dump = msgspec.msgpack.decode(data, type=Dump)

    def requests(self, service):
        """Numbers by status."""
        place, code = HTTP_LABELS.index("destination_service"), HTTP_LABELS.index("response_code")
        return {one.labels[code]: one.requests for one in self.dump.http if one.labels[place] == service}


# === in the mesh


def test_clients_in_the_mesh_are_asked_about_as_well():
    shop = Guarded()
    shop.world = World(SERVED + mesh_route("r", rule(filters=auth())))
    shop.cart, shop.stock = (shop.world.serve(address, 8080) for address in (CART, STOCK))
    shop.client = shop.world.connect(CART_IP, 80, namespace="shop")
    shop.say(PLAIN)
    shop.answered(ALLOWED)
    assert shop.passes()[1][b"x-user"] == b"ann"
