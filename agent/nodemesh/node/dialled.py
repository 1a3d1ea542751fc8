"""The addresses in the DNS by which a ServiceEntry's connections are recognized."""

from __future__ import annotations

from collections.abc import Mapping

from ..proxy.messages import SetDns
from ..registry.changed import changed_keys
from ..registry.snapshot import Snapshot, Workload
from ..routing.ownership import pod_addresses
from .resolve import Addresses


class Dialled:
    """Anybody's name may lead to a pod. Connections to the pods of other namespaces than those that declare the name
    stay what they are: such addresses are left out. Their pods may still be endpoints of the name."""

    def __init__(self) -> None:
        self.addresses: Addresses = {}
        self._resolved: Addresses = {}
        self._snapshot = Snapshot()
        self._namespaces: dict[str, str] = {}  # of pods, by address

    def see(self, snapshot: Snapshot) -> bool:
        """Take another snapshot's pods and names; tells whether `addresses` changed. Before the first name is resolved
        nobody asks whose pods there are."""
        if not self._resolved:
            self._snapshot = snapshot
            return False
        before, now = self._snapshot.workloads, snapshot.workloads
        changed = changed_keys(now, before)
        for key in changed:
            for address in pod_addresses(before.get(key)):
                self._namespaces.pop(address, None)
        for key in changed:
            self._add(now.get(key))
        same = not changed and snapshot.services is self._snapshot.services
        self._snapshot = snapshot
        return not same and self._choose()

    def resolve(self, resolved: Mapping[str, tuple[str, ...]]) -> bool:
        """Take names' addresses; tells whether `addresses` changed."""
        if bool(resolved) is not bool(self._resolved):
            self._namespaces = {}
            for workload in self._snapshot.workloads.values() if resolved else ():
                self._add(workload)
        self._resolved = dict(resolved)
        return self._choose()

    def message(self) -> SetDns:
        """What workers get to know of names."""
        return SetDns(addresses=self._resolved, dialled=self.addresses)

    def _add(self, workload: Workload | None) -> None:
        for address in pod_addresses(workload):
            assert workload is not None
            self._namespaces[address] = workload.namespace

    def _choose(self) -> bool:
        chosen = {host: self._of(host, addresses) for host, addresses in self._resolved.items()}
        chosen = {host: addresses for host, addresses in chosen.items() if addresses}
        changed = chosen != self.addresses
        self.addresses = chosen
        return changed

    def _of(self, host: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
        owners = {service.namespace for service in self._snapshot.services.get(host, ())}
        return tuple(address for address in addresses if self._namespaces.get(address) in {None, *owners})
