"""The lab's addresses: a pod network and a service network, each with its next free address; pure."""

from __future__ import annotations

import ipaddress
from enum import IntEnum

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class IpFamily(IntEnum):
    IPV4 = 4
    IPV6 = 6


#: Kubernetes' usual ranges (kubeadm with flannel), and unique local ones (RFC 4193) for version 6.
POD_NETWORKS: dict[IpFamily, Network] = {
    IpFamily.IPV4: ipaddress.IPv4Network("10.244.0.0/16"),
    IpFamily.IPV6: ipaddress.IPv6Network("fd00:10:244::/64"),
}
SERVICE_NETWORKS: dict[IpFamily, Network] = {
    IpFamily.IPV4: ipaddress.IPv4Network("10.96.0.0/16"),
    IpFamily.IPV6: ipaddress.IPv6Network("fd00:10:96::/112"),
}

#: The pods' gateway is the first host of the pod network; services allocated by the lab begin higher up, so that a
#: user's YAML can name the low ones.
_FIRST_POD = 2
_FIRST_SERVICE = 0x1000


class AddressPool:
    """Hands out addresses of the chosen families, each once."""

    def __init__(self, families: tuple[IpFamily, ...]) -> None:
        self.families = families
        self._pods = _FIRST_POD
        self._services = _FIRST_SERVICE

    def gateway(self, family: IpFamily) -> str:
        return str(POD_NETWORKS[family][1])

    def take_pod(self) -> tuple[str, ...]:
        """A pod's addresses, one per family."""
        self._pods += 1
        return tuple(str(POD_NETWORKS[family][self._pods - 1]) for family in self.families)

    def take_service(self) -> tuple[str, ...]:
        """A service's virtual addresses, one per family."""
        self._services += 1
        return tuple(str(SERVICE_NETWORKS[family][self._services - 1]) for family in self.families)


def family_of(address: str) -> IpFamily:
    return IpFamily(ipaddress.ip_address(address).version)
