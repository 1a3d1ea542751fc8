"""A service of the lab: virtual addresses, ports, and which pods stand behind them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from .addresses import family_of
from .forwarder import ForwardRule
from .pod import PodRecord

CLUSTER_DOMAIN = "cluster.local"


class LabPort(msgspec.Struct, frozen=True):
    """A service port; `target` is the pods' port, by number or by the container port's name, 0 for the same number."""

    number: int
    target: int | str = 0
    name: str = ""
    app_protocol: str = ""


class LabService(msgspec.Struct, frozen=True, kw_only=True):
    """`addresses` are the virtual ones (clusterIPs), none for a headless service."""

    name: str
    namespace: str
    addresses: tuple[str, ...]
    ports: tuple[LabPort, ...]
    selector: Mapping[str, str]
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    manifest: bool = True  # False: the user's own YAML has it, the lab only serves its addresses

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def names(self, namespace: str) -> list[str]:
        """The names under which a pod of `namespace` knows the service."""
        qualified = f"{self.name}.{self.namespace}"
        short = [self.name] if namespace == self.namespace else []
        return [f"{qualified}.svc.{CLUSTER_DOMAIN}", f"{qualified}.svc", qualified, *short]

    def backends(self, pods: Iterable[PodRecord]) -> list[PodRecord]:
        """The ready pods that the selector picks; a service without selector has none."""
        return [
            pod
            for pod in pods
            if self.selector
            and pod.ready
            and pod.namespace == self.namespace
            and self.selector.items() <= pod.labels.items()
        ]

    def routes(self, pods: Iterable[PodRecord]) -> Iterator[ForwardRule]:
        """What kube-proxy would program: each virtual address and port with its endpoints."""
        backends = self.backends(pods)
        for address in self.addresses:
            for port in self.ports:
                yield ForwardRule(
                    address,
                    port.number,
                    tuple(
                        (ip, target)
                        for pod in backends
                        for ip in pod.ips
                        if family_of(ip) == family_of(address) and (target := _target(port, pod))
                    ),
                )


def _target(port: LabPort, pod: PodRecord) -> int:
    """The pod's port behind a service port; 0 if the pod has no port of that name."""
    if isinstance(port.target, str):
        return pod.ports.get(port.target, 0)
    return port.target or port.number
