"""Conversations by the Gateway API's routes that have Services as parents: whose connections they take."""

from tests.routes import SERVED, mesh_route

from nodemesh.sim.world import World

from .shop import CART, CART_IP, STOCK, STOCK_IP, STOCK_REF, Shop, rule

MARK = "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: by, value: MARK}]}}"


def marked(mark, matches=""):
    return rule(matches, MARK.replace("MARK", mark))


def test_a_route_takes_the_place_of_the_default():
    shop = Shop(mesh_route("r", rule("{path: {value: /in}}", backends=STOCK_REF)))
    assert shop.ask("/in", at=CART_IP)[2] == "stock"
    assert shop.ask("/out", at=CART_IP)[0] == 404
    assert shop.ask("/out", host="stock.shop", at=STOCK_IP)[2] == "stock"  # backendRefs mean endpoints


def test_the_dialled_service_decides_whatever_the_host_says():
    shop = Shop(mesh_route("r", marked("r")))
    assert shop.ask(host="stock.shop", at=CART_IP)[1][b"by"] == b"r"
    status, fields, name = shop.ask(host="cart.shop", at=STOCK_IP)
    assert (status, name) == (200, "stock") and b"by" not in fields


def test_an_endpoint_s_own_address_is_no_frontend():
    shop = Shop(mesh_route("r", marked("r")))
    _, fields, name = shop.ask(host=f"{CART}:8080", at=CART, port=8080)
    assert name == "cart" and b"by" not in fields


def test_a_route_is_for_every_port_or_for_one():
    shop = Shop(mesh_route("r", marked("r"), "{group: '', kind: Service, name: cart, port: 80}"))
    assert b"by" in shop.ask(at=CART_IP)[1]
    assert shop.ask(at=CART_IP, port=81)[2] == "cart alt"
    assert b"by" not in shop.ask(at=CART_IP, port=81)[1]


def test_consumers_have_their_own_routes():
    """A consumer route is for its namespace's clients, and those have none of the producer's beside it."""
    service = "{group: '', kind: Service, name: cart, namespace: shop}"
    consumer = marked("consumer", "{path: {value: /c}}").replace("{name: cart,", "{name: cart, namespace: shop,")
    text = mesh_route("p", marked("producer")) + mesh_route("c", consumer, service, namespace="other")
    text += mesh_route("d", consumer.replace("/c", "/d"), service, namespace="other")
    shop = Shop(text)
    assert shop.ask("/c", at=CART_IP)[1][b"by"] == b"producer"
    assert shop.ask("/c", at=CART_IP, namespace="other")[1][b"by"] == b"consumer"
    assert shop.ask("/d", at=CART_IP, namespace="other")[0] == 200
    assert shop.ask("/e", at=CART_IP, namespace="other")[0] == 404  # none of the producer's
    assert shop.ask("/c", at=CART_IP, namespace="third")[1][b"by"] == b"producer"


def test_an_older_rule_of_istio_gives_way_to_a_route():
    rules = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http: [{headers: {response: {set: {by: istio}}}, route: [{destination: {host: cart, port: {number: 80}}}]}]
"""
    route_80 = mesh_route("r", marked("route"), "{group: '', kind: Service, name: cart, port: 80}")
    shop = Shop(rules + route_80)
    assert shop.ask(at=CART_IP)[1][b"by"] == b"route"
    assert shop.ask(at=CART_IP, port=81)[1][b"by"] == b"istio"


def test_tcp_routes_split_connections_and_the_oldest_counts():
    text = mesh_route("old", rule(backends="{name: stock, port: 80}"), kind="TCPRoute", created=1)
    text += mesh_route("young", rule(), kind="TCPRoute", created=2)
    world = World(SERVED + text)
    server = world.serve(STOCK, 8080)
    world.connect(CART_IP, 90, namespace="shop").send(b"\x00raw")
    world.run()
    world.advance(1)
    assert server.accept().take() == b"\x00raw"


def test_a_tcp_backend_that_is_not_there_is_refused():
    world = World(SERVED + mesh_route("r", rule(backends="{name: none, port: 80}"), kind="TCPRoute"))
    client = world.connect(CART_IP, 90, namespace="shop")
    client.send(b"\x00raw")
    world.advance(1)
    assert client.closed
