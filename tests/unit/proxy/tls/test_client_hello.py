"""The server name of a real ClientHello, of cut and of broken ones."""

import ssl

import pytest

from nodemesh.proxy.tls.client_hello import server_name


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


@pytest.mark.parametrize(
    "bad", [b"x\r\ny: z", b'a\n[2026] "GET', b"a b", b"a\x00b", b"a\x1b[2J", b"\xe9xampl", b"a%(b)s"]
)
def test_what_is_no_name_of_a_host_is_none(bad):
    """It would end a line of the log, or a field of the upstream's request."""
    known = b"reviews.example"
    name = bad.ljust(len(known), b"a")
    assert server_name(hello(known.decode()).replace(known, name)) == ""


def test_a_cut_hello_is_waited_for():
    whole = hello("reviews.example")
    assert all(server_name(whole[:size]) is None for size in range(len(whole)))


def split(whole: bytes, *sizes: int) -> bytes:
    """The same ClientHello in several records."""
    body, records = whole[5:], b""
    for size in (*sizes, len(body)):
        piece, body = body[:size], body[size:]
        records += whole[:3] + len(piece).to_bytes(2) + piece
    return records


def test_a_hello_in_several_records_is_put_together():
    whole = split(hello("reviews.example"), 3, 1, 100)
    assert server_name(whole) == "reviews.example"
    assert all(server_name(whole[:size]) is None for size in range(len(whole)))


def test_a_hello_in_ever_more_records_is_given_up():
    assert server_name(split(hello("reviews.example"), *[1] * 15)) == "reviews.example"
    assert server_name(split(hello("reviews.example"), *[1] * 16)) == ""


def test_records_of_another_type_between_end_it():
    whole = split(hello("reviews.example"), 3)
    assert server_name(whole[:8] + b"\x15" + whole[9:]) == ""


def test_what_a_client_makes_up_to_keep_servers_tolerant_is_passed_over():
    """GREASE (RFC 8701): reserved values among the extensions."""
    whole = hello("reviews.example")
    name = whole.index(b"reviews.example") - 9  # the extension's type, its length and three more of its own
    grease = b"\x3a\x3a\x00\x01\x00"
    body = bytearray(whole[5:name] + grease + whole[name:])
    extensions = name - 5 - 2  # their length: the name comes first
    for place, size in ((extensions, 2), (1, 3)):
        body[place : place + size] = (int.from_bytes(body[place : place + size]) + len(grease)).to_bytes(size)
    assert server_name(whole[:3] + len(body).to_bytes(2) + bytes(body)) == "reviews.example"


def test_a_broken_hello_has_no_name_and_breaks_nothing():
    whole = hello("reviews.example")
    for place in range(5, len(whole)):
        name = server_name(whole[:place] + bytes((whole[place] ^ 0xFF,)) + whole[place + 1 :])
        assert name is None or isinstance(name, str)
