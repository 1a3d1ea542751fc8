"""Addresses of the mesh's own for ServiceEntry hosts that have none (Istio's address auto-allocation): where the mesh
answers DNS, they tell TCP services on one port apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from .snapshot import Resolution, Service

#: Istio's networks for it, 240.240.0.0/16 and 2001:2::/48; nobody routes them.
IPV4: Final = int(IPv4Address("240.240.0.0"))
IPV6: Final = int(IPv6Address("2001:2::f0f0:0"))

#: Addresses to give away, without those that end in 0 or 255: 256 times 254 of them, brought down to a prime, so that
#: any step leads to every one.
PLACES: Final = 65_011
PER_OCTET: Final = 254

#: The label of a ServiceEntry that asks for addresses, or for none, whatever the mesh's setting is.
LABEL: Final = "networking.istio.io/enable-autoallocate-ip"

#: Connections to these can be told by an address alone: with NONE and DYNAMIC_DNS the dialled one is the endpoint.
ALLOCATED: Final = frozenset({Resolution.STATIC, Resolution.DNS, Resolution.DNS_ROUND_ROBIN})


class Applicant(NamedTuple):
    """A host that is to have addresses, in the order in which they are given: the older one keeps its place when a
    younger one would fall on it."""

    created: float
    namespace: str
    host: str


def applies(service: Service, default: bool) -> bool:
    """Whether a service is to have addresses of the mesh's own; `default` is what counts without the label."""
    if service.kind != "ServiceEntry" or service.addresses or service.allocated or "*" in service.host:
        return False
    if service.resolution not in ALLOCATED:
        return False
    return service.labels.get(LABEL, "true" if default else "false").lower() == "true"


def allocate(applicants: Iterable[Applicant], held: Iterable[int] = ()) -> Mapping[tuple[str, str], tuple[str, str]]:
    """An IPv4 and an IPv6 address for each (namespace, host), as long as there are any; `held` are places that others
    have. They depend on these alone, so that all nodes give the same: a hash says where a host begins to look for a
    free place, and in which steps it goes on."""
    taken = set(held)
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for _, namespace, host in sorted(applicants):
        key = (namespace, host)
        if key in found or len(taken) == PLACES:
            continue
        digest = blake2b(f"{namespace}/{host}".encode(), digest_size=16).digest()
        place = int.from_bytes(digest[:8], "big") % PLACES
        step = 1 + int.from_bytes(digest[8:], "big") % (PLACES - 1)
        while place in taken:
            place = (place + step) % PLACES
        taken.add(place)
        found[key] = addresses_at(place)
    return found


def addresses_at(place: int) -> tuple[str, str]:
    """The two addresses of a place, which share their last two octets."""
    host = place // PER_OCTET * 256 + place % PER_OCTET + 1
    return str(IPv4Address(IPV4 + host)), str(IPv6Address(IPV6 + host))


def place_of(address: str) -> int | None:
    """The place that one of its two addresses belongs to; None for all other addresses, and for what is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    host = int(found) - (IPV4 if found.version == 4 else IPV6)
    octet = host % 256
    place = host // 256 * PER_OCTET + octet - 1
    return place if 1 <= octet <= PER_OCTET and 0 <= place < PLACES else None


def places_held(service: Service) -> Iterator[int]:
    """The places of the addresses that a ServiceEntry's host has from others: its author, or Istio's control plane."""
    for address in (*service.addresses, *service.allocated):
        place = place_of(address)
        if place is not None:
            yield place
