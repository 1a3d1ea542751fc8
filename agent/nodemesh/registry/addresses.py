"""Addresses in the one form in which they are compared everywhere."""

from __future__ import annotations

import ipaddress

from ..config.validate.common import CANONICAL

#: IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2): sockets and the kernel's maps take them for IPv4's.
MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def canonical_address(address: str) -> str:
    """As it is dialled: a mapped address as IPv4, without a zone (`%eth0`), which is an interface's name on one machine
    alone. A network of mapped addresses is IPv4's, too. All else stays as it is."""
    if CANONICAL.fullmatch(address):
        return address
    if "/" in address:
        return _canonical_network(address)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))
    found = str(parsed)
    return address if found == address else found  # the string that is held already


def _canonical_network(address: str) -> str:
    try:
        parsed = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Network) and parsed.prefixlen >= MAPPED.prefixlen and parsed.subnet_of(MAPPED):
        return f"{parsed.network_address.ipv4_mapped}/{parsed.prefixlen - MAPPED.prefixlen}"
    return address
