"""Two Envoys in a row: the client's sidecar and the server's, as a request meets them in a mesh of sidecars.

Both speak plain HTTP to each other: Istio would have them encrypt, which costs more."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from . import rules
from .envoy import Envoy, command_of
from .processes import Cores, free_port


class EnvoyPair(Envoy):
    """The second one stands before every pod, at the pod's address and a port of its own."""

    name: ClassVar[str] = "two envoys"

    def __init__(self, folder: Path, upstream_port: int, cores: Cores, protocol: str = "http") -> None:
        self.inbound_port = free_port()
        self.pods_port = upstream_port
        super().__init__(folder, self.inbound_port, cores, protocol)

    def command(self) -> Sequence[str]:
        """Both under one shell, which is accounted and ended with them."""
        first = super().command()
        config = self.folder / "inbound.json"
        config.write_text(json.dumps(self.inbound(), indent=1))
        return ["sh", "-c", f"{shlex.join(command_of(config))} & {shlex.join(first)} & wait"]

    def inbound(self) -> dict[str, Any]:
        """What Istio's inbound listeners do of it: one virtual host, no retries, a log and the metrics."""
        addresses = [address for address, _, _ in rules.pods().values()]
        listeners, clusters = [], []
        for address in addresses:
            name = f"inbound|{self.pods_port}||{address}"
            clusters.append(self._cluster(name, rules.HOST, "v1", (address,), self.pods_port))
            everything = {"match": {"prefix": "/"}, "name": "default", "route": {"cluster": name, "timeout": "0s"}}
            hosts = [{"name": "inbound|http", "domains": ["*"], "routes": [everything]}]
            routes = {"name": name, "validate_clusters": False, "virtual_hosts": hosts}
            manager = self.manager(f"inbound_{address}", routes, self.folder / "inbound.log")
            listeners.append(
                {
                    "name": name,
                    **self._address(address, self.inbound_port),
                    "traffic_direction": "INBOUND",
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            )
        return {**self.settings(), "static_resources": {"listeners": listeners, "clusters": clusters}}
