"""One namespace's pods by label, indexed once a selector asks: in a cluster EndpointSlices mostly say what it would."""

from __future__ import annotations

from collections.abc import Mapping

from ..config.core import PodSpec
from ..config.meta import Object

Pods = dict[str, Object[PodSpec]]  # by name

#: A label: its key and its value.
Label = tuple[str, str]


class PodIndex:
    """`pods` are the namespace's, kept by whoever has the index; each change of them is told."""

    def __init__(self, pods: Mapping[str, Object[PodSpec]] | None = None) -> None:
        self._pods: Mapping[str, Object[PodSpec]] = {} if pods is None else pods
        self._by_label: dict[Label, Pods] | None = None

    def changed(self, name: str, before: Object[PodSpec] | None, after: Object[PodSpec] | None) -> None:
        """One pod is another now, new or gone."""
        index = self._by_label
        if index is None:
            return
        for label in before.meta.labels.items() if before is not None else ():
            index[label].pop(name)
            if not index[label]:
                del index[label]
        if after is not None:
            add(index, name, after)

    def selected(self, selector: Mapping[str, str]) -> list[Object[PodSpec]]:
        """In the order of their names; none for an empty selector."""
        if not selector:
            return []
        if self._by_label is None:
            self._by_label = {}
            for name, pod in self._pods.items():
                add(self._by_label, name, pod)
        smallest = min((self._by_label.get(label, {}) for label in selector.items()), key=len)
        return [
            pod
            for _, pod in sorted(smallest.items())
            if all(pod.meta.labels.get(key) == value for key, value in selector.items())
        ]


def add(index: dict[Label, Pods], name: str, pod: Object[PodSpec]) -> None:
    for label in pod.meta.labels.items():
        index.setdefault(label, {})[name] = pod
