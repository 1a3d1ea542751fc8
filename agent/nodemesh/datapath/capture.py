"""Which connections of a pod are the mesh's, in the kernel's maps: sets of ranges by number, and each pod's set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import count

from ..config.capture import EVERYTHING, Capture
from .maps import MAPPED_PREFIX, U32, U64, Maps, Range, RangeKey, pack_address

#: A set's contents: packed network, prefix length, port (0: every port).
Place = tuple[bytes, int, int]
Ranges = Mapping[Place, Range]

Network = IPv4Network | IPv6Network

_IPV4: Place = (MAPPED_PREFIX + bytes(4), 96, 0)
_EVERYWHERE: Place = (bytes(16), 0, 0)


def ranges(capture: Capture) -> Ranges:
    """What the kernel has to know: the longest network counts there, so that one taken in goes where it lies inside one
    that is left out."""
    found: dict[Place, Range] = {}
    for port in capture.include_ports:
        found[bytes(16), 0, port] = Range.INCLUDED
    for port in capture.exclude_ports:
        found[bytes(16), 0, port] = Range.EXCLUDED
    excluded = [ip_network(text) for text in capture.exclude_ranges]
    included = [ip_network(text) for text in capture.include_ranges or ()]
    if capture.include_ranges is None:
        found[_EVERYWHERE] = Range.INCLUDED
    for network in included:
        if not any(_inside(network, other) for other in excluded):
            found[_place(network)] = Range.INCLUDED
    for network in excluded:
        found[_place(network)] = Range.EXCLUDED
    if any(network.version == 6 and _inside_packed(_IPV4, _place(network)) for network in (*included, *excluded)):
        # IPv4 addresses are kept as ::ffff:a.b.c.d, but no IPv6 network means them.
        found.setdefault(_IPV4, Range.INCLUDED if capture.include_ranges is None else Range.NONE)
    return found


class Captures:
    """The maps `captures` and `ranges`, and what is in them. The only writer; what an earlier run left holds until a
    pod's own is set again or dropped."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        self._pods = {U64.unpack(key)[0]: U32.unpack(value)[0] for key, value in maps["captures"].items()}
        self._sets: dict[int, dict[Place, Range]] = {}
        for raw, value in maps["ranges"].items():
            key = RangeKey.unpack(raw)
            place = key.address, key.prefix, key.port
            self._sets.setdefault(key.set, {})[place] = Range(U32.unpack(value)[0])

    def set(self, netns: int, capture: Capture) -> None:
        """Have the namespace's connections captured so, from one `connect()` to the next. Raises OSError where the maps
        are full; what held before holds on."""
        if capture == EVERYTHING:
            self.drop(netns)
            return
        number = self._number(ranges(capture))
        if self._pods.get(netns) != number:
            self._maps["captures"].update(U64.pack(netns), U32.pack(number))
            self._pods[netns] = number
            self._tidy()

    def drop(self, netns: int) -> None:
        """Forget the namespace: everything there is captured."""
        if self._pods.pop(netns, None) is not None:
            self._maps["captures"].delete(U64.pack(netns))
            self._tidy()

    def keep(self, namespaces: Iterable[int]) -> None:
        """Drop all namespaces but these."""
        for netns in self._pods.keys() - set(namespaces):
            self.drop(netns)

    def _number(self, wanted: Ranges) -> int:
        """The number of the set with these contents, written if there is none: never changed while it is in use."""
        for number, known in self._sets.items():
            if known == wanted:
                return number
        number = next(number for number in count(1) if number not in self._sets)
        written: dict[Place, Range] = {}
        try:
            for place, verdict in wanted.items():
                self._maps["ranges"].update(_key(number, place).pack(), U32.pack(verdict))
                written[place] = verdict
        except OSError:
            self._delete(number, written)
            raise
        self._sets[number] = written
        return number

    def _tidy(self) -> None:
        for number in self._sets.keys() - set(self._pods.values()):
            self._delete(number, self._sets.pop(number))

    def _delete(self, number: int, places: Iterable[Place]) -> None:
        for place in places:
            self._maps["ranges"].delete(_key(number, place).pack())


def _key(number: int, place: Place) -> RangeKey:
    address, prefix, port = place
    return RangeKey(number, address, prefix, port)


def _place(network: Network) -> Place:
    prefix = network.prefixlen + (96 if network.version == 4 else 0)
    return pack_address(str(network.network_address)), prefix, 0


def _inside(network: Network, other: Network) -> bool:
    return network.version == other.version and _inside_packed(_place(network), _place(other))


def _inside_packed(inner: Place, outer: Place) -> bool:
    shift = 128 - outer[1]
    return outer[1] <= inner[1] and int.from_bytes(inner[0]) >> shift == int.from_bytes(outer[0]) >> shift
