import pytest

from nodemesh.node.options import (
    ListenAddress,
    StartError,
    parse_address,
    parse_expose,
    parse_gateway_listen,
    parse_labels,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ListenAddress("127.0.0.1", 8080)),
        ("[::1]:8080", ListenAddress("::1", 8080)),
        (":8080", ListenAddress("127.0.0.1", 8080)),
        ("8080", ListenAddress("127.0.0.1", 8080)),
        ("0.0.0.0", ListenAddress("0.0.0.0", 15000)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text, 15000) == address


def test_expose_names_what_is_dialled_and_where_to_listen():
    expose = parse_expose("reviews.default:9080=127.0.0.1:19080")
    assert (expose.host, expose.port, expose.listen) == ("reviews.default", 9080, ListenAddress("127.0.0.1", 19080))
    assert parse_expose("[fd00::1]:80=[::1]:0").host == "fd00::1"


@pytest.mark.parametrize("text", ["reviews", "reviews:9080", "reviews=1", ":80=1", "reviews:0=1", "a:99999=1"])
def test_a_wrong_expose_is_told_with_the_right_form(text):
    with pytest.raises(StartError, match="reviews:9080=127.0.0.1:19080"):
        parse_expose(text)


def test_a_wrong_port_is_told():
    with pytest.raises(StartError, match="127.0.0.1:8080"):
        parse_address("127.0.0.1:http")


def test_gateways_have_labels_and_ports():
    assert parse_labels("istio=ingressgateway,app=gw") == {"istio": "ingressgateway", "app": "gw"}
    listen = parse_gateway_listen("443=0.0.0.0:8443")
    assert (listen.port, listen.listen) == (443, ListenAddress("0.0.0.0", 8443))
    assert parse_gateway_listen("80=8080").listen == ListenAddress("127.0.0.1", 8080)


@pytest.mark.parametrize("text", ["8443", "http=8443", "=8443", "0=8443"])
def test_a_wrong_gateway_listener_is_told_with_the_right_form(text):
    with pytest.raises(StartError, match="443=0.0.0.0:8443"):
        parse_gateway_listen(text)


def test_wrong_labels_are_told_with_the_right_form():
    with pytest.raises(StartError, match="istio=ingressgateway"):
        parse_labels("ingressgateway")
