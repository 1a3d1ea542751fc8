"""What canaries of staged rollouts ask for: by rollout, how many requests and connections, and how many failed."""

from __future__ import annotations

from collections.abc import Iterable

from ..routing.client import Client
from ..routing.rollouts import is_canary
from ..routing.tables import StagedRollout
from .labels import FLAGS
from .record import ConnectionRecord, RequestRecord

#: gRPC's statuses that are a server's failure: those that Envoy counts as 5xx (grpcToHttpStatus).
GRPC_FAILURES = frozenset({2, 4, 12, 13, 14, 15})

#: Clients whose rollouts are remembered; beyond that it starts anew.
MAX_CLIENTS = 10_000

#: A rollout's requests, and those of them that failed.
Count = tuple[int, int]


class Canaries:
    """Counts by these rollouts."""

    def __init__(self, rollouts: Iterable[StagedRollout]) -> None:
        self._rollouts = tuple(rollouts)
        self._of: dict[int, tuple[Client, tuple[StagedRollout, ...]]] = {}  # by the client's id(), which is held so
        self.counts: dict[str, Count] = {}

    def add(self, records: Iterable[ConnectionRecord]) -> None:
        for record in records:
            rollouts = self._for(record.client)
            if not rollouts or (isinstance(record, RequestRecord) and record.is_copy):
                continue
            failed = int(is_failure(record))
            for rollout in rollouts:
                if is_about(rollout, record):
                    requests, failures = self.counts.get(rollout.id, (0, 0))
                    self.counts[rollout.id] = (requests + 1, failures + failed)

    def _for(self, client: Client) -> tuple[StagedRollout, ...]:
        found = self._of.get(id(client))
        if found is None:
            if len(self._of) >= MAX_CLIENTS:
                self._of.clear()
            rollouts = tuple(rollout for rollout in self._rollouts if is_canary(rollout, client))
            found = self._of[id(client)] = client, rollouts
        return found[1]


def is_about(rollout: StagedRollout, record: ConnectionRecord) -> bool:
    """Whether the object decided, or the request was for one of its hosts, whatever came of it."""
    owner = record.rule.owner if record.rule is not None else None
    if owner is not None and (owner.kind, f"{owner.namespace}/{owner.name}") == (rollout.kind, rollout.key):
        return True
    cluster, service = record.cluster, record.service
    return (service is not None and service.host in rollout.hosts) or (
        cluster is not None and cluster.host in rollout.hosts
    )


def is_failure(record: ConnectionRecord) -> bool:
    if not isinstance(record, RequestRecord):
        return bool(FLAGS[record.reasons])
    return record.status >= 500 or not record.status or record.grpc_status in GRPC_FAILURES
