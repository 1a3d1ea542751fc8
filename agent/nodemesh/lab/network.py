"""The node's links: a bridge with the pods' gateway, a veth pair per pod, the services' addresses; by netlink."""

from __future__ import annotations

import os
import socket
from typing import Any

import pyroute2
from pyroute2.netlink.exceptions import NetlinkError

from ..datapath import namespaces
from .addresses import POD_NETWORKS, AddressPool, family_of
from .owner import LabError

BRIDGE = "cni0"

#: A bridge without an address of its own takes its lowest port's, and changes it when that pod ends: the others'
#: neighbour entries for the gateway would then lead nowhere.
_BRIDGE_MAC = "02:00:0a:f4:00:01"

_IFA_F_NODAD = 0x02  # no duplicate address detection: an IPv6 address serves at once (if_addr.h)


class NodeNetwork:
    """The node's network namespace, which process `pid` holds."""

    def __init__(self, pid: int, addresses: AddressPool) -> None:
        self._addresses = addresses
        self._netlink = _netlink(pid)
        self._lo = self._index("lo")
        self._bridge = 0
        self._ports = 0

    def open(self) -> None:
        """Bring the node up: loopback, bridge, gateway addresses. LabError where the kernel has no bridges."""
        self._netlink.link("set", index=self._lo, state="up")
        self._make("bridge", ifname=BRIDGE, address=_BRIDGE_MAC, br_forward_delay=0)
        self._bridge = self._index(BRIDGE)
        self._netlink.link("set", index=self._bridge, state="up")
        for family in self._addresses.families:
            _add_address(self._netlink, self._bridge, self._addresses.gateway(family), POD_NETWORKS[family].prefixlen)

    def close(self) -> None:
        self._netlink.close()

    def join(self, pid: int, addresses: tuple[str, ...]) -> None:
        """Give the network namespace of process `pid` an eth0 on the bridge, with `addresses` and a default route.
        LabError where the kernel has no veth pairs."""
        self._ports += 1
        port = f"veth{self._ports}"
        self._make("veth", ifname=port, peer={"ifname": "eth0", "net_ns_pid": pid})
        self._netlink.link("set", index=self._index(port), master=self._bridge, state="up")
        with _netlink(pid) as netlink:
            netlink.link("set", index=netlink.link_lookup(ifname="lo")[0], state="up")
            eth0 = netlink.link_lookup(ifname="eth0")[0]
            netlink.link("set", index=eth0, state="up")
            for address in addresses:
                family = family_of(address)
                _add_address(netlink, eth0, address, POD_NETWORKS[family].prefixlen)
                default = "0.0.0.0/0" if family == 4 else "::/0"
                netlink.route("add", dst=default, gateway=self._addresses.gateway(family), oif=eth0)

    def add_service_address(self, address: str) -> None:
        """Make the node answer for a virtual address."""
        _add_address(self._netlink, self._lo, address, 32 if family_of(address) == 4 else 128)

    def remove_service_address(self, address: str) -> None:
        self._netlink.addr("del", index=self._lo, address=address, prefixlen=32 if family_of(address) == 4 else 128)

    def _make(self, kind: str, **attributes: Any) -> None:
        try:
            self._netlink.link("add", kind=kind, **attributes)
        except NetlinkError as error:
            raise LabError(f"the kernel makes no {kind} ({os.strerror(error.code)}): modprobe {kind}") from None

    def _index(self, name: str) -> int:
        return int(self._netlink.link_lookup(ifname=name)[0])


def _netlink(pid: int) -> Any:
    """A netlink socket in the network namespace of process `pid` (pyroute2 has no types).

    pyroute2's own way (`netns=`) forks, and ends its child by SIGTERM: the child of a program that removes its lab on
    SIGTERM would remove the lab."""
    namespace = namespaces.netns_fd(pid)
    try:
        # asyncio, by which pyroute2 reads, takes datagram sockets only; to netlink the types are one (netlink(7)).
        socket_fd = namespaces.open_socket(namespace, socket.AF_NETLINK, socket.SOCK_DGRAM).detach()
    finally:
        os.close(namespace)
    return pyroute2.IPRoute(fileno=socket_fd)  # type: ignore[attr-defined, no-untyped-call]


def _add_address(netlink: Any, index: int, address: str, prefix: int) -> None:
    flags = {} if family_of(address) == 4 else {"flags": _IFA_F_NODAD}
    netlink.addr("add", index=index, address=address, prefixlen=prefix, **flags)
