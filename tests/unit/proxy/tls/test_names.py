"""Whether a certificate is for a name (RFC 6125 section 6.4)."""

import pytest

from nodemesh.proxy.tls.names import is_for, names_in


@pytest.mark.parametrize(
    ("kind", "value", "wanted", "fits"),
    [
        ("DNS", "shop.example", "shop.example", True),
        ("DNS", "Shop.Example", "shop.EXAMPLE", True),
        ("DNS", "*.shop.example", "a.shop.example", True),
        ("DNS", "*.shop.example", "shop.example", False),
        ("DNS", "*.shop.example", "a.b.shop.example", False),
        ("DNS", "*.example", "shop.example", False),
        ("DNS", "a*.shop.example", "ab.shop.example", False),
        ("DNS", "*", "shop", False),
        ("DNS", "10.0.0.1", "10.0.0.1", True),
        ("IP Address", "10.0.0.1", "10.0.0.1", True),
        ("IP Address", "2001:DB8:0:0:0:0:0:1", "2001:db8::1", True),
        ("IP Address", "10.0.0.1", "shop.example", False),
        ("URI", "spiffe://a/ns/b/sa/c", "spiffe://a/ns/b/sa/c", True),
        ("URI", "spiffe://a/ns/b/sa/c", "spiffe://a/ns/B/sa/c", False),
    ],
)
def test_a_name_is_covered_as_its_kind_has_it(kind, value, wanted, fits):
    assert is_for([("DNS", "other.example"), (kind, value)], wanted) is fits


def test_names_are_the_alternative_ones_alone():
    certificate = {"subject": ((("commonName", "shop.example"),),), "subjectAltName": (("DNS", "a.example"),)}
    assert names_in(certificate) == [("DNS", "a.example")]
    assert names_in({}) == []
