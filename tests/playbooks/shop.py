"""A shop whose upstreams answer with their own name, by the Gateway API's routes."""

from tests.routes import SERVED, gateway, route

from nodemesh.sim.world import World

from .http1_peer import split

CART, STOCK, OTHER = "10.1.0.1", "10.1.0.2", "10.1.0.3"
PLACES = {CART: "cart", STOCK: "stock", OTHER: "other cart"}
LABELS = {"gateway.networking.k8s.io/gateway-name": "edge"}
CART_IP, STOCK_IP = "10.96.0.1", "10.96.0.2"
HTTP = "{name: web, port: 80, protocol: HTTP}"
STOCK_REF = "{name: stock, port: 80}"


class Shop:
    """A world whose upstreams answer with their own name."""

    def __init__(self, text, seed=1):
        self.world = World(SERVED + text, seed)
        self.servers = {address: self.world.serve(address, port) for address in PLACES for port in (8080,)}
        self.alternative = self.world.serve(CART, 8081)
        self.raw = {}  # by the upstream's name: all that it got, the last
        self.arrived = {}  # by the upstream's name: request line and fields, the last

    def ask(self, target="/", host="cart.shop", method="GET", at=None, namespace="shop", lines=(), port=80):
        """One request: at the gateway, or (with `at`) to that address from a client of the namespace. What comes back:
        status, fields, and who answered."""
        if at is None:
            peer = self.world.arrive(port, LABELS, namespace="shop")
        else:
            peer = self.world.connect(at, port, namespace=namespace)
        head = "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""))
        peer.send(head.encode())
        self.world.run()
        name = self.serve()
        self.world.run()
        start, fields, _ = split(peer.take())
        return int(start.split()[1]), fields, name

    def serve(self):
        """Answer whatever has come; the names of those that were asked, without mirrors' order."""
        names = []
        for address, server in (*self.servers.items(), ("alt", self.alternative)):
            while server.waiting:
                upstream = server.accept()
                name = PLACES.get(address, "cart alt")
                self.raw[name] = upstream.take()
                self.arrived[name] = split(self.raw[name])[:2]
                upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nserver-said: yes\r\nconnection: close\r\n\r\n")
                upstream.end()
                names.append(name)
        return " ".join(sorted(names))


def rule(matches="", filters="", backends="{name: cart, port: 80}", more=""):
    text = "- backendRefs: [" + backends + "]\n"
    if matches:
        text += f"  matches: [{matches}]\n"
    if filters:
        text += f"  filters: [{filters}]\n"
    return text + more


def at_gateway(rules, **more):
    return Shop(gateway(HTTP) + route("r", rules, **more))
