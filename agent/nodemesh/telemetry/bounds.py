"""How many series there may be: for an edge, for a client and in all. What comes beyond is folded into coarser ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container

from .labels import HTTP_LABELS, TCP_LABELS, UNKNOWN
from .overrides import without_values

Labels = tuple[str, ...]

#: Label sets of one client and one service that have series of their own: versions, codes, flags.
PER_EDGE = 128

#: Label sets of one client workload. The service, its upstreams and their words decide on most of them.
PER_SOURCE = 2048

#: Label sets in all, from which on only clients with few get new ones.
TOTAL = 16 * 1024

#: Label sets that a client gets even then.
RESERVED = 64

_FIRST, _LAST = TCP_LABELS.index("source_workload"), TCP_LABELS.index("source_cluster") + 1
_SERVICE, _NAMESPACE = TCP_LABELS.index("destination_service"), TCP_LABELS.index("destination_service_namespace") + 1
_DESTINATION, _PROTOCOL = TCP_LABELS.index("destination_workload"), TCP_LABELS.index("request_protocol")
_FLAGS = TCP_LABELS.index("response_flags")
_CODE, _GRPC = HTTP_LABELS.index("response_code"), HTTP_LABELS.index("grpc_response_status")


def _outcome(labels: Labels) -> Labels:
    """Protocol, flags, security and codes, as few as still tell success from failure."""
    coarse = (labels[_PROTOCOL], "-" if labels[_FLAGS] == "-" else UNKNOWN, UNKNOWN)
    if len(labels) <= _CODE:
        return coarse
    grpc = labels[_GRPC]
    return (
        *coarse,
        f"{labels[_CODE][:-2]}00" if len(labels[_CODE]) == 3 else "0",
        "2" if grpc not in ("", "0") else grpc,
    )


def of_edge(labels: Labels) -> Labels:
    """Both ends' names, and how it ended in the main: no workload, no version, no single code."""
    unknown = (UNKNOWN,) * (_SERVICE - _DESTINATION)
    rest = (UNKNOWN,) * (_PROTOCOL - _NAMESPACE)
    ends = (without_values(labels[0]), *labels[1:_DESTINATION], *unknown, *labels[_SERVICE:_NAMESPACE])
    return (*ends, *rest, *_outcome(labels))


def of_source(labels: Labels) -> Labels:
    """The client's name alone."""
    source = (without_values(labels[0]), *labels[1:_DESTINATION])
    return (*source, *(UNKNOWN,) * (_PROTOCOL - _DESTINATION), *_outcome(labels))


def of_all(labels: Labels) -> Labels:
    """Nobody's name."""
    return (without_values(labels[0]), *(UNKNOWN,) * (_PROTOCOL - 1), *_outcome(labels))


class Bounds:
    """Counts label sets by whose they are."""

    __slots__ = ("folded", "_edges", "_sources", "_total", "_limit")

    def __init__(self, total: int = TOTAL) -> None:
        self.folded = 0  # label sets that got no series of their own
        self._limit = total
        self._edges: Counter[Labels] = Counter()
        self._sources: Counter[Labels] = Counter()
        self._total = 0

    def place(self, labels: Labels, known: Container[Labels]) -> Labels:
        """The labels under which to count: these, or the coarser ones that there is room for. `known` are those that
        have their place; new ones have it from now on, until `free`."""
        if labels in known:
            return labels
        source = labels[_FIRST:_LAST]
        edge = (*source, *labels[_SERVICE:_NAMESPACE])
        held = self._sources[source]
        roomy = held < PER_SOURCE and (self._total < self._limit or held < RESERVED)
        if not roomy or self._edges[edge] >= PER_EDGE:
            self.folded += 1
            if roomy:
                labels = of_edge(labels)
            elif held or self._total < self._limit:
                labels = of_source(labels)
            else:
                labels = of_all(labels)
            if labels in known:
                return labels
        self._change(labels, 1)
        return labels

    def free(self, labels: Labels) -> None:
        """A set that `place` gave is not counted under any more."""
        self._change(labels, -1)

    def _change(self, labels: Labels, by: int) -> None:
        source = labels[_FIRST:_LAST]
        edge = (*source, *labels[_SERVICE:_NAMESPACE])
        self._total += by
        for counter, key in ((self._sources, source), (self._edges, edge)):
            counter[key] += by
            if not counter[key]:
                del counter[key]
