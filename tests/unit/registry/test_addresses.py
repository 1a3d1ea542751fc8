"""Addresses in their canonical form."""

import pytest

from nodemesh.registry.addresses import canonical_address


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("255.255.255.255", "255.255.255.255"),
        ("256.1.1.1", "256.1.1.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("name.example", "name.example"),
        ("١.1.1.1", "١.1.1.1"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("0:0:0:0:0:FFFF:0a01:0203", "10.1.2.3"),
        ("::10.1.2.3", "::a01:203"),
        ("fd00::1%eth0", "fd00::1"),
        ("::ffff:10.1.2.3%1", "10.1.2.3"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
        ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
        ("::/0", "::/0"),
        ("::ffff:0:0/95", "::ffff:0:0/95"),
        ("a/b", "a/b"),
    ],
)
def test_addresses_in_their_canonical_form(written, canonical):
    assert canonical_address(written) == canonical
