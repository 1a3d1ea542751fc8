"""Which of a pod's outgoing connections the mesh takes: Istio's annotations that include or exclude networks and ports.

Istio's order holds, in which its iptables rules are tried: a port left out, a network left out, a port taken in
whatever the address, a network taken in. Istio refuses to start a pod whose annotation it cannot read; here the
unreadable items are skipped, with a warning, and the others hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

import msgspec

PREFIX = "traffic.sidecar.istio.io/"
INCLUDE_RANGES = PREFIX + "includeOutboundIPRanges"
EXCLUDE_RANGES = PREFIX + "excludeOutboundIPRanges"
INCLUDE_PORTS = PREFIX + "includeOutboundPorts"
EXCLUDE_PORTS = PREFIX + "excludeOutboundPorts"

NAMES = (INCLUDE_RANGES, EXCLUDE_RANGES, INCLUDE_PORTS, EXCLUDE_PORTS)

#: includeOutboundIPRanges: every address; also where the annotation is not set.
ALL = "*"

#: Networks and ports that the annotations of one pod may name together: they take room in a map that all pods of a node
#: share, and time of whoever reads them.
LIMIT = 256

Network = IPv4Network | IPv6Network
Item = TypeVar("Item")


class Capture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the annotations of one pod say; networks as they are written in the normal form (`10.0.0.0/8`). Without
    `include_ranges` every address is taken, with an empty tuple none is."""

    include_ranges: tuple[str, ...] | None = None
    exclude_ranges: tuple[str, ...] = ()
    include_ports: tuple[int, ...] = ()
    exclude_ports: tuple[int, ...] = ()
    refused: str = ""  # why the annotations as a whole do not count, as a sentence: the pod cannot be in the mesh

    def why_not(self, address: str, port: int) -> str:
        """Why a connection to this address and port is left alone, as a sentence; empty where it is taken. Raises
        ValueError if `address` is none."""
        dialled = ip_address(address)
        if port in self.exclude_ports:
            return f"the pod's annotation {EXCLUDE_PORTS} has port {port}"
        left_out = _covering(self.exclude_ranges, dialled)
        if left_out:
            return f"the pod's annotation {EXCLUDE_RANGES} has {left_out}"
        if port in self.include_ports or self.include_ranges is None or _covering(self.include_ranges, dialled):
            return ""
        return f"the pod's annotation {INCLUDE_RANGES} has no network of {address}"

    def shown(self) -> dict[str, str]:
        """What is in force, by the annotation's name without its prefix."""
        parts: list[tuple[str, Iterable[object] | None]] = [
            (INCLUDE_RANGES, self.include_ranges),
            (EXCLUDE_RANGES, self.exclude_ranges or None),
            (INCLUDE_PORTS, self.include_ports or None),
            (EXCLUDE_PORTS, self.exclude_ports or None),
        ]
        return {name.removeprefix(PREFIX): ",".join(map(str, items)) for name, items in parts if items is not None}


#: Nothing is left out.
EVERYTHING = Capture()


class AnnotationFault(msgspec.Struct, frozen=True):
    """An item of an annotation that cannot be read, and what would be right."""

    annotation: str
    message: str


def read_capture(annotations: Mapping[str, str]) -> tuple[Capture, tuple[AnnotationFault, ...]]:
    """What a pod's annotations say, and what of them cannot be read. Of annotations beyond the limit nothing is: a part
    of them would take over what the rest leaves out."""
    if annotations.keys().isdisjoint(NAMES):
        return EVERYTHING, ()
    faults: list[AnnotationFault] = []
    longest, items = max(((name, annotations.get(name, "").count(",") + 1) for name in NAMES), key=lambda pair: pair[1])
    total = sum(annotations[name].count(",") + 1 for name in NAMES if name in annotations)
    if total > LIMIT:
        refused = (
            f"the pod's annotations {PREFIX}* name {total} networks and ports ({longest} has {items}), of which a pod "
            f"may have {LIMIT}; fewer, wider networks are right"
        )
        return Capture(refused=refused), (AnnotationFault(longest, f"{refused}; the pod is not taken into the mesh"),)
    ranges = annotations.get(INCLUDE_RANGES, ALL).strip()
    included = None if ranges == ALL else _items(annotations, INCLUDE_RANGES, _network, faults)
    if ranges and not included:  # every item was unreadable: taking nothing is not what was meant
        included = None
    capture = Capture(
        include_ranges=included,
        exclude_ranges=_items(annotations, EXCLUDE_RANGES, _network, faults),
        include_ports=_items(annotations, INCLUDE_PORTS, _port, faults),
        exclude_ports=_items(annotations, EXCLUDE_PORTS, _port, faults),
    )
    return capture, tuple(faults)


def _items(
    annotations: Mapping[str, str], name: str, read: Callable[[str], Item], faults: list[AnnotationFault]
) -> tuple[Item, ...]:
    text = annotations.get(name, "").strip()
    found: dict[Item, None] = {}
    for item in text.split(",") if text else ():
        try:
            found[read(item.strip())] = None
        except ValueError as error:
            faults.append(AnnotationFault(name, f"{error}; the rest of the annotation {name} holds"))
    return tuple(found)


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in text:
        raise ValueError(f"`{text}` is not a network; right is for instance 10.0.0.0/8")
    return str(network)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"`{text}` is not a port; right is a number from 1 to 65535")
    return int(text)


def _covering(networks: Iterable[str], address: IPv4Address | IPv6Address) -> str:
    return next((text for text in networks if address in ip_network(text)), "")
