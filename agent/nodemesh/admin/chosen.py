"""Which of the last requests are asked for: by client, service, status, path, and whether they failed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from ..routing.question import QuestionError
from ..telemetry.decision_record import DecisionRecord
from ..telemetry.totals import Totals

#: How many are shown.
RECENT = 256

#: `503`, `5xx`, and `0` for those without an answer.
STATUS = re.compile(r"0|[1-5](?:[0-9]{2}|xx)")


class UrlQuery(Protocol):
    """The query of a URL."""

    def get(self, name: str, default: str, /) -> str: ...

    def getall(self, name: str, default: list[str], /) -> list[str]: ...


class Wish(NamedTuple):
    """Empty parts choose nothing. `clients` are `namespace/workload` or `namespace/pod`."""

    clients: frozenset[str] = frozenset()
    namespace: str = ""
    host: str = ""
    status: str = ""
    path: str = ""
    failed: bool = False

    def fits(self, record: DecisionRecord) -> bool:
        namespace = record.client.partition("/")[0]
        return (
            (not self.clients or not self.clients.isdisjoint((record.client, f"{namespace}/{record.workload}")))
            and self.namespace in ("", namespace)
            and (not self.host or record.host == self.host or record.host.startswith(f"{self.host}."))
            and (not self.status or _is_of(record.status, self.status))
            and record.path.startswith(self.path)
        )


def _is_of(status: int, wanted: str) -> bool:
    return status // 100 == int(wanted[0]) if wanted.endswith("xx") else status == int(wanted)


def wish_of(query: UrlQuery) -> Wish:
    """Raises QuestionError."""
    status = query.get("status", "")
    if status and not STATUS.fullmatch(status):
        raise QuestionError(f"{status!r} is no status; write 503, 5xx, or 0 for requests without an answer")
    return Wish(
        clients=frozenset(query.getall("client", [])),
        namespace=query.get("namespace", ""),
        host=query.get("host", ""),
        status=status,
        path=query.get("path", ""),
        failed=bool(query.get("failed", "")),
    )


def chosen(totals: Totals, wish: Wish) -> list[DecisionRecord]:
    """Newest first."""
    kept = totals.failed if wish.failed else totals.recent
    found = [record for record in reversed(kept) if wish.fits(record)]
    return [shown(record) for record in found[:RECENT]]


def shown(record: DecisionRecord) -> DecisionRecord:
    return msgspec.structs.replace(record, path=without_query(record.path))


def without_query(path: str) -> str:
    """What comes after `?` is often secret (tokens, signed links): it is not shown."""
    path, found, _ = path.partition("?")
    return f"{path}?…" if found else path


def newest(told: Iterable[Sequence[DecisionRecord]]) -> list[DecisionRecord]:
    """Those of several nodes as one."""
    every = [record for records in told for record in records]
    every.sort(key=lambda record: -record.started)
    return every[:RECENT]
