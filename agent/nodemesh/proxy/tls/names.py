"""The names that a certificate is for, and whether a wanted one is among them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def names_in(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The subject's alternative names of a certificate as `SSLObject.getpeercert` shows it: (kind, value)."""
    return [(kind, value) for kind, value in certificate.get("subjectAltName", ())]


def is_for(names: list[tuple[str, str]], wanted: str) -> bool:
    """Whether one of a certificate's names is the wanted one. DNS names may have a wildcard as their first label
    (RFC 6125 section 6.4.3); all others are compared whole."""
    for kind, value in names:
        if kind == "DNS":
            if dns_covers(value.lower(), wanted.lower()):
                return True
        elif kind == "IP Address":
            if same_address(value, wanted):
                return True
        elif value == wanted:
            return True
    return False


def dns_covers(pattern: str, name: str) -> bool:
    if pattern == name:
        return True
    first, _, rest = name.partition(".")
    return bool(first) and bool(rest) and "." in rest and pattern == f"*.{rest}"


def same_address(value: str, wanted: str) -> bool:
    try:
        return ip_address(value.strip()) == ip_address(wanted)
    except ValueError:
        return False
