"""The mesh as several nodes see it, drawn as one."""

import asyncio
from typing import Any

import msgspec
import pytest
from multidict import MultiDict
from tests.unit.admin.meshes import PageNode

from nodemesh.admin.chosen import wish_of
from nodemesh.admin.counted import Counted
from nodemesh.admin.mesh import WholeMesh, wanted
from nodemesh.admin.state import AgentRow, Heard, PodRow, Unheard
from nodemesh.routing.question import QuestionError

EVERYWHERE = wanted(MultiDict({"window": "60", "mesh": "1"}))
ALONE = wanted(MultiDict({"window": "60"}))


class Meeting(PageNode):
    """A node that hears what others have counted."""

    def __init__(self, services: int = 5) -> None:
        super().__init__(services)
        self.heard = Heard()
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []

    def pods(self) -> list[Any]:
        return [PodRow(namespace="default", name="own")]

    async def ask_others(self, path, query=()):
        self.asked.append((path, list(query)))
        return self.heard


def answers(**told: Any) -> Heard:
    return Heard(tuple((node, msgspec.json.encode(value)) for node, value in told.items()))


def test_what_two_nodes_have_counted_is_added_up_request_for_request():
    node, other = Meeting(), Meeting()

    async def both() -> tuple[dict[str, Any], dict[str, Any], Counted]:
        told = await WholeMesh(other).counted(ALONE)
        node.heard = answers(there=told)
        alone = await WholeMesh(node).picture(ALONE)
        return alone, await WholeMesh(node).picture(EVERYWHERE), told

    alone, whole, told = asyncio.run(both())
    assert node.asked == [("/flows", [("window", "60"), ("back", "0")])]
    assert alone["agents"] == ["here"] and whole["agents"] == ["here", "there"] and whole["silent"] == []
    by_id = {edge["id"]: edge for edge in alone["edges"]}
    extra = {}
    for row in told.rows:
        extra[row.way.host] = extra.get(row.way.host, 0) + row.requests
    assert whole["edges"] and {edge["id"] for edge in whole["edges"]} == by_id.keys()
    for edge in whole["edges"]:
        grown = edge["requests"] - by_id[edge["id"]]["requests"]
        assert extra[edge["host"]] <= grown <= extra[edge["host"]] + 20, "the second picture is a tick younger"
        assert sum(row["requests"] for row in edge["codes"]) == edge["requests"]
        assert edge["p99_ms"] is not None


def test_who_is_silent_is_named_and_so_is_who_cannot_be_understood():
    node = Meeting()
    node.heard = Heard((("odd", b"[1]"), ("broken", b"{")), (Unheard(node="gone", why="no answer within 1 s"),))
    drawn = asyncio.run(WholeMesh(node).picture(EVERYWHERE))
    assert {each.node: each.why for each in drawn["silent"]} == {
        "gone": "no answer within 1 s",
        "odd": "its answer is in another form: is it of another version?",
        "broken": "its answer is in another form: is it of another version?",
    }
    assert drawn["edges"] and drawn["agents"] == ["here"]


def test_durations_of_another_version_are_left_out_and_the_rest_counts():
    node = Meeting()
    told = asyncio.run(WholeMesh(node).counted(ALONE))
    rows = [msgspec.structs.replace(row, duration=[1, 2]) for row in told.rows]
    node.heard = answers(there=msgspec.structs.replace(told, rows=rows, ejected={told.rows[0].way.host: 2}))
    drawn = asyncio.run(WholeMesh(node).picture(EVERYWHERE))
    assert all(edge["p50_ms"] is not None for edge in drawn["edges"])
    assert sum(each.get("endpoints", {}).get("ejected", 0) for each in drawn["nodes"]) == 2


def test_decisions_pods_and_agents_of_all_nodes_say_where_they_are():
    node = Meeting()
    own, _ = asyncio.run(WholeMesh(node).decisions(wish_of(MultiDict()), (), everywhere=False))
    assert own and {record.node for record in own} == {""}
    node.heard = answers(there=[msgspec.structs.replace(own[0], started=1e12, node="it says so itself")])
    both, silent = asyncio.run(WholeMesh(node).decisions(wish_of(MultiDict()), [("host", "a")], everywhere=True))
    assert both[0].node == "there" and {record.node for record in both[1:]} == {"here"} and silent == []
    assert node.asked[-1] == ("/decisions", [("host", "a")])
    node.heard = answers(there=[PodRow(namespace="default", name="other")])
    pods, _ = asyncio.run(WholeMesh(node).pods(everywhere=True))
    assert [(row.node, row.name) for row in pods] == [("here", "own"), ("there", "other")]
    assert [row.node for row in asyncio.run(WholeMesh(node).pods(everywhere=False))[0]] == [""]
    gone = (Unheard(node="gone", why="refused"),)
    node.heard = msgspec.structs.replace(answers(there=AgentRow(node="liar", ready=False)), silent=gone)
    rows = asyncio.run(WholeMesh(node).agents())
    assert [(row.node, row.ready, row.error) for row in rows] == [
        ("gone", False, "refused"), ("here", True, ""), ("there", False, "")
    ]  # fmt: skip


@pytest.mark.parametrize("query", [{"window": "x"}, {"window": "1"}, {"back": "901"}, {"window": "nan"}])
def test_a_time_that_is_not_kept_is_said(query):
    with pytest.raises(QuestionError, match="seconds"):
        wanted(MultiDict(query))
