"""Conversations with Services that have an XBackendTrafficPolicy: retries within a budget, and sessions."""

import pytest
from tests.routes import SERVED, gateway, made, mesh_route, route

from nodemesh.sim.world import World

from .http1_peer import split
from .shop import CART, CART_IP, HTTP, LABELS, at_gateway, rule
from .shop import Shop as ShopWorld

API = "gateway.networking.x-k8s.io/v1alpha1"
RETRIED = rule(more="  retry: {codes: [500], attempts: 2, backoff: 1ms}\n")
#: Three retries in ten seconds, however few requests there are.
THREE = "retryConstraint: {budget: {percent: 20, interval: 10s}, minRetryRate: {count: 3, interval: 10s}}"


def policy(spec, name="cart"):
    return made(
        "XBackendTrafficPolicy",
        f"of-{name}",
        f"targetRefs: [{{group: '', kind: Service, name: {name}}}]\n{spec}",
        api=API,
    )


class Failing:
    """Clients of `cart`, which fails every request."""

    def __init__(self, text):
        self.world = World(SERVED + text)
        self.server = self.world.serve(CART, 8080)
        self.tries = 0

    def fail(self, upstream):
        upstream.send(b"HTTP/1.1 500 Oh\r\ncontent-length: 4\r\nconnection: close\r\n\r\nours")
        upstream.end()

    def ask(self, host="a.example", at_mesh=False):
        """One request; its status and body."""
        peer = (
            self.world.connect(CART_IP, 80, namespace="shop")
            if at_mesh
            else self.world.arrive(80, LABELS, namespace="shop")
        )
        peer.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        for _ in range(10):
            self.world.advance(0.01)
            while self.server.waiting:
                upstream = self.server.accept()
                upstream.take()
                self.tries += 1
                self.fail(upstream)
            self.world.run()
        start, _, body = split(peer.take())
        return int(start.split()[1]), body


class Breaking(Failing):
    """The same, whose connections break."""

    def fail(self, upstream):
        upstream.reset()


def test_beyond_the_budget_nothing_is_retried_and_the_answer_is_503():
    """Two routes lead to the Service: they have one budget. A request's own second retry counts as well."""
    text = gateway(HTTP) + route("a", RETRIED, hosts="[a.example]") + route("b", RETRIED, hosts="[b.example]")
    shop = Failing(text + policy(THREE))
    assert shop.ask("a.example") == (500, b"ours") and shop.tries == 3
    assert shop.ask("b.example") == (503, b"the budget of retries is spent") and shop.tries == 5
    assert shop.ask("a.example")[0] == 503 and shop.tries == 6
    shop.world.advance(11)
    assert shop.ask("b.example") == (500, b"ours") and shop.tries == 9


def test_a_share_of_the_requests_within_the_interval_may_be_retries():
    spec = "retryConstraint: {budget: {percent: 50, interval: 1m}, minRetryRate: {count: 1, interval: 1h}}"
    once = rule(more="  retry: {codes: [500], attempts: 1, backoff: 1ms}\n")
    shop = Failing(gateway(HTTP) + route("r", once) + policy(spec))
    statuses = [shop.ask()[0] for _ in range(20)]
    assert shop.tries - 20 == 10 == statuses.count(500)
    assert statuses.count(503) == 10


def test_connections_that_break_come_under_the_budget_too():
    shop = Breaking(gateway(HTTP) + route("r", RETRIED) + policy(THREE))
    for _ in range(4):
        shop.ask()
    assert shop.tries == 4 + 3
    assert shop.ask() == (503, b"the budget of retries is spent")


def test_without_a_policy_every_request_is_retried():
    shop = Failing(gateway(HTTP) + route("r", RETRIED))
    assert [shop.ask()[0] for _ in range(6)] == [500] * 6
    assert shop.tries == 18


def test_clients_in_the_mesh_have_the_budget_by_routes_and_virtual_services_alike():
    http = "[{route: [{destination: {host: cart}}], retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}}]"
    rules = made("VirtualService", "v", f"hosts: [cart]\nhttp: {http}", api="networking.istio.io/v1")
    for text in (mesh_route("r", RETRIED), rules):
        shop = Failing(text + policy(THREE))
        assert [shop.ask("cart.shop", at_mesh=True)[0] for _ in range(3)] == [500, 503, 503]


# === sessions

SPLIT = rule(backends="{name: cart, port: 80}, {name: stock, port: 80}")
SESSION = "sessionPersistence: {cookie: {name: of-policy}}"


def kept(shop, cookie):
    return {shop.ask(lines=[f"cookie: {cookie}"])[2] for _ in range(20)}


def test_a_session_stays_with_its_endpoint_across_weights():
    shop = ShopWorld(gateway(HTTP) + route("r", SPLIT) + policy(SESSION))
    _, fields, first = shop.ask()
    cookie, _, rest = fields[b"set-cookie"].decode().partition(";")
    assert cookie.startswith("of-policy=") and "Path=/" in rest
    assert kept(shop, cookie) == {first}


def test_a_rule_s_own_session_comes_before_the_policy_s():
    own = SPLIT + "  sessionPersistence: {cookie: {name: of-rule}}\n"
    shop = ShopWorld(gateway(HTTP) + route("r", own) + policy(SESSION))
    assert shop.ask()[1][b"set-cookie"].startswith(b"of-rule=")


@pytest.mark.parametrize(
    "wish", ["{type: Header, header: {name: X-Session}}", "{type: Header, sessionName: X-Session}"]
)
def test_a_policy_s_session_may_be_a_field_of_the_head(wish):
    shop = ShopWorld(gateway(HTTP) + route("r", SPLIT) + policy(f"sessionPersistence: {wish}", "stock"))
    _, fields, first = shop.ask()
    token = fields[b"x-session"].decode()
    assert {shop.ask(lines=[f"x-session: {token}"])[2] for _ in range(20)} == {first}


def test_a_service_without_routes_keeps_sessions_as_well():
    shop = ShopWorld(policy(SESSION))
    _, fields, name = shop.ask(at=CART_IP)
    assert name == "cart" and fields[b"set-cookie"].startswith(b"of-policy=")
    assert b"set-cookie" not in at_gateway(rule()).ask()[1]
