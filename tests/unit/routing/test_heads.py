"""A head that was kept: the request that it was, and how people name it."""

from nodemesh.routing.client import Client
from nodemesh.routing.heads import KeptHead, request_of


def head(**fields):
    rest = {"at": 1.0, "method": "GET", "scheme": "http", "authority": "reviews:9080", "path": "/a", "port": 9080}
    return KeptHead(client=Client(namespace="default"), **{**rest, **fields})


def test_it_is_the_request_that_it_was():
    request = request_of(head(query="b=c", headers={"x": "\xff"}, repeated={"x": ("1", "2")}))
    assert (request.method, request.scheme, request.authority) == (b"GET", b"http", b"reviews:9080")
    assert (request.path, request.query, request.headers) == (b"/a", b"b=c", {b"x": b"\xff"})
    assert request.repeated == {b"x": (b"1", b"2")}


def test_its_place_and_url_are_what_was_dialled():
    assert head(host="10.96.0.10", service="reviews.default").place == "reviews.default:9080"
    assert head(host="10.96.0.10").url == "http://10.96.0.10:9080/a"
    assert head(host="2001:db8::1").url == "http://[2001:db8::1]:9080/a"
    edge = head(gateway=True, scheme="https", sni="shop.example", authority="shop.example", port=443, query="b")
    assert (edge.place, edge.url) == ("gateway port 443", "https://shop.example:443/a?b")
