"""What a Gateway's listeners answer to requests that are not theirs."""

from tests.routes import BASE, gateway, route, snapshot_of
from tests.unit.routing.gatewayapi.attached import TO_CART

from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.decision import Route
from nodemesh.routing.gatewayapi.serve import MISDIRECTED
from nodemesh.routing.request import Request
from nodemesh.routing.views import Views


def test_a_request_over_tls_for_another_listener_is_misdirected_whatever_scheme_it_names():
    """Else the certificates that one listener asks clients for could be gone around by way of another."""
    tls = "tls: {certificateRefs: [{name: pair}]}"
    listeners = [f"{{name: {name}, port: 443, protocol: HTTPS, hostname: {name}.example, {tls}}}" for name in "ab"]
    snapshot = snapshot_of(BASE + gateway(*listeners) + route("r", TO_CART))
    labels = {"gateway.networking.k8s.io/gateway-name": "edge"}
    view = Views(compile_tables(snapshot)).for_client(Client(namespace="shop", labels=labels, gateway=True))
    for scheme in (b"https", b"http"):
        request = Request(b"GET", scheme, b"a.example", b"/", b"", {})
        assert view.http_gateway(443, request, "b.example") is MISDIRECTED
        assert isinstance(view.http_gateway(443, request, "a.example"), Route)
