"""What is told of a peer's certificate."""

import ssl
from urllib.parse import unquote

import pytest

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.peer import clean, forwarded_certificate, of_connection, told


@pytest.fixture(scope="module")
def der() -> bytes:
    pair = Authority("mesh").issue("client.example")
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


@pytest.mark.parametrize(
    ("what", "shown"),
    [("DNS_SAN", "client.example"), ("URI_SAN", ""), ("IP_SAN", ""), ("OTHERNAME_SAN", ""), ("ISSUER", "CN=mesh")],
)
def test_what_a_certificate_says(der, what, shown):
    assert told(der, what, "") == shown


def test_a_certificate_by_its_forms(der):
    assert unquote(told(der, "CERT", "")) == ssl.DER_cert_to_PEM_cert(der)
    assert len(told(der, "FINGERPRINT_256", "")) == 64 and len(told(der, "FINGERPRINT_1", "")) == 40
    assert int(told(der, "SERIAL", ""), 16) > 0
    assert told(der, "CERT_V_END", "%Y").isdigit() and told(der, "CERT_V_START", "").endswith("Z")


def test_what_is_forwarded_names_hash_and_names(der):
    said = forwarded_certificate(der).decode()
    assert said.startswith(f"Hash={told(der, 'FINGERPRINT_256', '')};Cert=") and said.endswith("DNS=client.example")


def test_nothing_is_told_without_tls():
    assert of_connection(None, "TLS_VERSION", "") == ""


def test_a_name_ends_no_field():
    assert clean("a\r\nb: \x00c\u20ac") == "ab: c"
