"""What pods tell before any service does: that one is made, or leaves.

Tables that say so take a while, in a big cluster longer than the kubelet waits before it ends a pod; a rollout's
connections hang on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..config.meta import Object
from ..proxy.messages import Retire
from ..registry.assemble import ObjectKey
from ..registry.multicluster import Registry
from ..registry.snapshot import Workload
from .fleet import Fleet
from .interception import Interception
from .logs import Log

log = Log("control")


class Foresight:
    """Tells the workers, and the kernel where it is ours, of the own cluster's pods."""

    def __init__(self, registry: Registry, fleet: Fleet, interception: Interception | None) -> None:
        self._registry = registry
        self._fleet = fleet
        self._interception = interception

    def leaves(self, pod: ObjectKey) -> None:
        """A pod begins to leave, or is gone: the registry does not know yet."""
        name = f"{pod.namespace}/{pod.name}"
        hosts = self._registry.hosts_behind(name)
        workload = self._registry.snapshot.workloads.get(name)
        if not hosts or workload is None:
            return
        if not workload.leaving:  # the workers first: some of the kernel's connections are theirs from now on
            self._fleet.tell(Retire(addresses=workload.addresses))
        if self._interception is not None:
            try:
                self._interception.pod_ends(name, hosts)
            except OSError as error:  # the next tables are tried as well
                log.error("the kernel was not told that a pod leaves", pod=name, error=error)

    def see(self, before: Mapping[str, Workload], changed: Iterable[Object[Any]]) -> None:
        """The registry has taken these in; `before` are the workloads that there were."""
        for item in changed:
            if self._interception is None or item.kind != "Pod" or item.meta.key in before:
                continue
            workload = self._registry.snapshot.workloads.get(item.meta.key)
            if workload is None or workload.finished or workload.leaving:
                continue
            hosts = self._registry.hosts_beside(workload)
            if hosts:
                self._interception.pod_starts(workload.key, hosts)
