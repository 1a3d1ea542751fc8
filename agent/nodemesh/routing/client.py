"""Who asks: the part of a workload that routing depends on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..config.proxyconfig import Topology
from ..registry.snapshot import Locality


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client workload: a pod, or a gateway (then `gateway` is true and its labels select Gateway objects). By
    `owner` and `addresses` metrics and the log name it; no rule looks at them."""

    namespace: str
    name: str = ""
    labels: Mapping[str, str] = {}
    locality: Locality = Locality()
    node: str = ""
    network: str = ""
    cluster: str = ""
    gateway: bool = False
    service_account: str = ""
    owner: str = ""
    topology: Topology | None = None  # where a gateway's pod says that it stands
    addresses: tuple[str, ...] = ()
