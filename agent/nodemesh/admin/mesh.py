"""What is seen of the mesh: by this node's agent alone, or with those of all other nodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..routing.question import QuestionError
from ..telemetry.decision_record import DecisionRecord
from . import pages, picture
from .chosen import UrlQuery, Wish, chosen, newest
from .counted import Counted, counted, flows_of
from .state import AdminNode, AgentRow, PodRow, Unheard

#: Seconds of history that can be asked for.
LONGEST = 900

#: Findings and changes beside a picture.
PROBLEMS_SHOWN = 100
CHANGES_SHOWN = 10

#: Sentences that say why a picture is empty.
REASONS_SHOWN = 20

T = TypeVar("T")


class PictureQuery(NamedTuple):
    """Which picture is asked for: so many seconds, until `back` seconds ago, of one namespace or of all; of all nodes,
    or of this one."""

    window: float
    back: float
    namespace: str
    everywhere: bool

    @property
    def query(self) -> list[tuple[str, str]]:
        return [("window", f"{self.window:g}"), ("back", f"{self.back:g}")]


def wanted(query: UrlQuery) -> PictureQuery:
    """Raises QuestionError."""
    try:
        window, back = float(query.get("window", "60")), float(query.get("back", "0"))
    except ValueError:
        raise QuestionError("window and back are seconds, for instance ?window=60&back=0") from None
    if not 5 <= window <= LONGEST or not 0 <= back <= LONGEST:
        raise QuestionError(f"window is 5 to {LONGEST} seconds, back at most {LONGEST}")
    return PictureQuery(window, back, query.get("namespace", ""), bool(query.get("mesh", "")))


class WholeMesh:
    """`node` is the one that is asked."""

    def __init__(self, node: AdminNode) -> None:
        self._node = node

    async def counted(self, asked: PictureQuery) -> Counted:
        """What this node has counted."""
        node = self._node
        await node.telemetry()
        now = time.time()
        start, end = now - asked.back - asked.window, now - asked.back
        ejected = Counter(row.host for row in node.endpoint_states().values() if row.ejected_for >= 0.0)
        flows = node.history.between(start, end)
        return counted(
            node.history.covered(start, end, now), flows, dict(ejected), node.why_empty() if not flows else []
        )

    async def picture(self, asked: PictureQuery) -> dict[str, Any]:
        """/graph?window=."""
        node = self._node
        told = [await self.counted(asked)]
        others, silent = await self._others("/flows", asked.query, Counted, asked.everywhere)
        told += [each for _, each in others]
        ejected: dict[str, int] = {}
        for each in told:
            for host, count in each.ejected.items():
                ejected[host] = max(count, ejected.get(host, 0))
        drawn = picture.draw(
            flows_of(told), max(each.seconds for each in told), node.snapshot, node.mode, ejected, node.problems(),
            asked.namespace, node.history.renewed_after(time.time() - asked.back),
        )  # fmt: skip
        reasons = [] if drawn["edges"] else [reason for each in told for reason in each.empty]
        return {
            "as_of": time.time() - asked.back,
            "window": asked.window,
            "since": node.history.since,
            "namespaces": sorted({service.namespace for each in node.snapshot.services.values() for service in each}),
            "missing": reasons[:REASONS_SHOWN],
            "problems": pages.problems(node.problems())[:PROBLEMS_SHOWN],
            "changes": node.changes()[: -CHANGES_SHOWN - 1 : -1],
            "agents": [node.agent().node, *(name for name, _ in others)],
            "silent": silent,
            **drawn,
        }

    async def decisions(
        self, wish: Wish, query: Sequence[tuple[str, str]], everywhere: bool
    ) -> tuple[list[DecisionRecord], list[Unheard]]:
        """/decisions."""
        own = chosen(await self._node.telemetry(), wish)
        if not everywhere:
            return own, []
        others, silent = await self._others("/decisions", query, list[DecisionRecord], everywhere)
        told = [(self._node.agent().node, own), *others]
        return newest([msgspec.structs.replace(each, node=name) for each in rows] for name, rows in told), silent

    async def pods(self, everywhere: bool) -> tuple[list[PodRow], list[Unheard]]:
        """/pods."""
        own = list(self._node.pods())
        if not everywhere:
            return own, []
        others, silent = await self._others("/pods", (), list[PodRow], everywhere)
        told = [(self._node.agent().node, own), *others]
        return [msgspec.structs.replace(row, node=name) for name, rows in told for row in rows], silent

    async def agents(self) -> list[AgentRow]:
        """/agents."""
        others, silent = await self._others("/agent", (), AgentRow, True)
        found = [self._node.agent(), *(msgspec.structs.replace(row, node=name) for name, row in others)]
        return sorted(
            [*found, *(AgentRow(node=each.node, error=each.why) for each in silent)], key=lambda row: row.node
        )

    async def _others(
        self, path: str, query: Sequence[tuple[str, str]], kind: type[T], everywhere: bool
    ) -> tuple[list[tuple[str, T]], list[Unheard]]:
        """What the other nodes' agents say, as far as it can be understood."""
        if not everywhere:
            return [], []
        heard = await self._node.ask_others(path, query)
        found, silent = [], list(heard.silent)
        for name, answer in heard.answers:
            try:
                found.append((name, msgspec.json.decode(answer, type=kind)))
            except msgspec.DecodeError:
                silent.append(Unheard(node=name, why="its answer is in another form: is it of another version?"))
        return found, silent
