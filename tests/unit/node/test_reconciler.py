"""One agent writes, what has changed, and starts from nothing when another has led meanwhile."""

from __future__ import annotations

import asyncio

import pytest
from tests.jumping import JumpingLoop

from nodemesh.node.election import Election
from nodemesh.node.reconciler import Reconciler
from nodemesh.registry.sources.api import ApiError

#: Seconds of the loop's clock after which a look and its pause are over.
ENOUGH = 60.0


class Held(Election):
    """An election whose outcomes are given, the last one for good."""

    def __init__(self, *outcomes: bool) -> None:
        self.outcomes = list(outcomes)

    async def hold(self) -> bool:
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


class Notes(Reconciler[str, int]):
    interval = 2.0
    pause = 7.5
    failure = "notes could not be written"
    rights = "manifests/notes.yaml"

    def __init__(self, *outcomes: bool, pace: float = 0.0) -> None:
        super().__init__(Held(*outcomes), lambda: 0.5, pace)
        self.notes = {"a": 1, "b": 2}
        self.puts: list[tuple[str, int]] = []
        self.again = False
        self.error: ApiError | None = None

    def wanted(self):
        return self.notes

    async def put(self, key, item):
        if self.error is not None:
            raise self.error
        self.puts.append((key, item))
        return not self.again


def test_only_what_has_changed_is_written():
    notes = Notes(True)
    assert asyncio.run(notes.write()) and notes.leads
    notes.notes = {"a": 1, "b": 3}
    assert asyncio.run(notes.write())
    assert notes.puts == [("a", 1), ("b", 2), ("b", 3)]


def test_what_went_and_came_back_is_written_again():
    notes = Notes(True)
    for wanted in ({"a": 1}, {}, {"a": 1}):
        notes.notes = wanted
        assert asyncio.run(notes.write())
    assert notes.puts == [("a", 1), ("a", 1)]


def test_what_could_not_be_written_yet_is_tried_again():
    notes = Notes(True)
    notes.again = True
    asyncio.run(notes.write())
    notes.again = False
    asyncio.run(notes.write())
    asyncio.run(notes.write())
    assert notes.puts == [("a", 1), ("b", 2)] * 2


def test_another_agent_leads():
    notes = Notes(False)
    assert not asyncio.run(notes.write()) and not notes.puts and not notes.leads


@pytest.mark.parametrize("outcomes", [(True, True, True, False, True), (True, True, False, True)])
def test_one_that_has_lost_the_lease_begins_anew(outcomes):
    """Lost between two looks, and between two objects of one."""
    notes = Notes(*outcomes)
    results = [asyncio.run(notes.write()) for _ in range(3 if len(outcomes) == 5 else 2)]
    assert results.count(False) == 1 and results[-1]
    assert notes.puts.count(("a", 1)) == 2


def test_objects_are_written_at_a_bounded_rate():
    notes = Notes(True, pace=10.0)
    assert in_time(notes.write()) >= 20.0


@pytest.mark.parametrize(
    ("status", "told"),
    [(403, "manifests/notes.yaml has the rights for it"), (500, "500")],
)
def test_an_error_is_told_with_its_mend_and_ends_nothing(caplog, status, told):
    notes = Notes(True)
    notes.error = ApiError(status, str(status))

    async def story() -> None:
        task = asyncio.create_task(notes.run())
        async with asyncio.timeout(ENOUGH):
            while not caplog.messages:
                await asyncio.sleep(1.0)
            notes.error = None
            while not notes.puts:
                await asyncio.sleep(1.0)
        task.cancel()

    in_time(story())
    (message,) = caplog.messages
    assert message.startswith("notes could not be written") and told in message
    assert ("has the rights" in message) == (status == 403)


def in_time(story) -> float:
    """The seconds that it took on a clock that jumps."""
    loop = JumpingLoop()
    loop.jumping = True
    try:
        began = loop.time()
        loop.run_until_complete(story)
        return loop.time() - began
    finally:
        loop.close()
