"""What attaching routes and listeners comes to, as a few words."""

from tests.routes import BASE, made, snapshot_of

from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.gatewayapi.conditions import find

HTTP = "{name: web, port: 80, protocol: HTTP}"
TO_CART = "- backendRefs: [{name: cart, port: 80}]"
TLS = "{name: tls, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: pair}]}}"

SETS = "allowedListeners: {namespaces: {from: All}}"


class Facts:
    """All certificates are good but those that are named."""

    def __init__(self, *bad, addresses=None):
        self.bad = bad
        self.addresses = addresses

    def certificate_fault(self, key):
        return "there is none" if key in self.bad else ""

    authority_fault = certificate_fault


def said(conditions, kind="Accepted"):
    found = find(conditions, kind)
    return found and (found.status, found.reason)


def of_route(text, name="r", kind="HTTPRoute", namespace="shop", condition="Accepted"):
    verdicts = attach(snapshot_of(BASE + text)).parents[kind, f"{namespace}/{name}"]
    return [said(verdict.conditions, condition) for verdict in verdicts]


def of_gateway(text, facts=None, name="shop/edge"):
    attached = attach(snapshot_of(BASE + text), facts) if facts is not None else attach(snapshot_of(BASE + text))
    return attached.gateways[name]


def listener(verdict, name="web"):
    return next(entry for entry in verdict.listeners if entry.name == name)


def listener_set(name, *listeners, namespace="other", created=0):
    spec = "parentRef: {name: edge, namespace: shop}\nlisteners:\n" + "".join(f"- {one}\n" for one in listeners)
    return made("ListenerSet", name, spec, namespace=namespace, created=created)
