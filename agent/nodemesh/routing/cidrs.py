"""Networks of services: those that an address is in are found without a look at all the others, which tenants may have
as many of as they like."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from ..bounded import Bounded

#: Networks with the hosts that they belong to, as the tables have them.
Networks = tuple[tuple[str, str], ...]


class Cidrs:
    """By version and length of prefix, and then by the bits of it."""

    __slots__ = ("_by_prefix",)

    def __init__(self, networks: Networks) -> None:
        found: dict[tuple[int, int], dict[int, list[str]]] = {}
        for text, host in networks:
            network = ip_network(text, strict=False)
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            found.setdefault((network.version, network.prefixlen), {}).setdefault(bits, []).append(host)
        self._by_prefix = sorted(found.items(), key=lambda entry: -entry[0][1])

    def hosts_at(self, address: str) -> Iterator[str]:
        """The hosts of the networks that an address is in, the narrowest first."""
        try:
            dialled = ip_address(address)
        except ValueError:
            return
        number = int(dialled)
        for (version, length), hosts in self._by_prefix:
            if version == dialled.version:
                yield from hosts.get(number >> (dialled.max_prefixlen - length), ())


_KNOWN: Final[Bounded[int, tuple[Networks, Cidrs]]] = Bounded(8)


def cidrs_of(networks: Networks) -> Cidrs:
    """Of a tuple in the tables: made once."""
    known = _KNOWN.found.get(id(networks))
    if known is None or known[0] is not networks:
        known = _KNOWN.keep(id(networks), (networks, Cidrs(networks)))
    return known[1]
