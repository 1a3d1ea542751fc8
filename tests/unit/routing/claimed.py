"""A namespace with a Service and pods, and what objects of another one say of them."""

from tests.meshes import make, pod, service

from nodemesh.registry.store import Store
from nodemesh.routing.lint import lint

OWNER = [
    service("shop", "10.96.0.7", (80, "http"), namespace="owner"),
    pod("shop-1", "10.1.0.7", {"app": "shop"}, namespace="owner"),
    pod("bare", "10.1.0.8", {"app": "bare"}, namespace="owner"),
]


def entry(*addresses: str, host="any.example", namespace="tenant", name="e", created=0.0, **spec):
    given = {
        "hosts": [host],
        "addresses": addresses,
        "ports": [{"number": number, "name": f"tcp-{number}", "protocol": "TCP"} for number in (80, 9000)],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.1.0.66"}],
        **spec,
    }
    return make("ServiceEntry", name, given, namespace=namespace, created=created)


def rule(name, namespace, created, status, host="shop.owner.svc.cluster.local", **spec):
    given = {"hosts": [host], "http": [{"directResponse": {"status": status}}], **spec}
    return make("VirtualService", name, given, namespace=namespace, created=created)


OLDER, OWN = rule("older", "tenant", 1.0, 418), rule("own", "owner", 2.0, 200)


def findings(*objects):
    """What lint says: code, namespace and path of each finding."""
    return [(found.code, found.namespace, found.path) for found in lint(Store().apply("t", [*OWNER, *objects]))]
