"""ReferenceGrants: which objects of other namespaces may be referred to. All of a namespace add up."""

from __future__ import annotations

from collections.abc import Iterable

from ...config.gatewayapi.policies import ReferenceGrantSpec
from ...config.meta import Object


class Grants:
    __slots__ = ("_granted", "_version")

    def __init__(self, objects: Iterable[Object[ReferenceGrantSpec]]) -> None:
        self._granted: set[tuple[str, str, str, str, str, str, str | None]] = set()
        for item in objects:
            for origin in item.spec.from_:
                for target in item.spec.to:
                    self._granted.add(
                        (
                            origin.group, origin.kind, origin.namespace,
                            target.group, target.kind, item.meta.namespace, target.name,
                        )
                    )  # fmt: skip
        self._version: frozenset[object] = frozenset(self._granted)

    def version(self, *, mesh: bool) -> frozenset[object]:
        """What resolved references depend on: of the mesh, nothing."""
        return frozenset() if mesh else self._version

    def allows(self, origin: tuple[str, str, str], group: str, kind: str, namespace: str, name: str) -> bool:
        """Whether an object (its group, kind and namespace) may refer to another one."""
        if origin[2] == namespace:
            return True
        target = (*origin, group, kind, namespace)
        return (*target, None) in self._granted or (*target, name) in self._granted
