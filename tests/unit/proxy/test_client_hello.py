"""The server name of a real ClientHello, of cut and of broken ones."""

import ssl

import pytest

from nodemesh.proxy.client_hello import server_name


def hello(name: str | None) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_the_name_in_lower_case():
    assert server_name(hello("Reviews.Example")) == "reviews.example"


def test_no_name():
    assert server_name(hello(None)) == ""


def test_a_cut_hello_is_waited_for():
    whole = hello("reviews.example")
    assert all(server_name(whole[:size]) is None for size in range(len(whole)))


def test_a_broken_hello_has_no_name_and_breaks_nothing():
    whole = hello("reviews.example")
    for place in range(5, len(whole)):
        name = server_name(whole[:place] + bytes((whole[place] ^ 0xFF,)) + whole[place + 1 :])
        assert name is None or isinstance(name, str)
