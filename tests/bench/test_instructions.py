"""Suite `instructions` counts what it says, and notices what has grown."""

from pathlib import Path

import pytest
from tests.bench import callgrind, instructions_suite, kept
from tests.bench.instructions_suite import CASES
from tests.bench.kept import Cost

DUMP = """\
events: Ir
fl=(1) a.c
fn=(1) parse
0 100
cfn=(2) write
calls=3 0
0 4000
+2 20
fn=(2)
* 7
fn=(1)
-1 5
totals: 4132
"""


def test_a_function_costs_what_stands_in_it_and_not_what_it_calls():
    assert callgrind.functions(DUMP) == {"parse": 125, "write": 7}


def test_what_grew_by_four_percent_is_a_mistake_that_names_the_functions():
    before = Cost(100_000.0, {"parse": 60_000.0, "write": 30_000.0, "log": 10_000.0})
    now = Cost(104_000.0, {"parse": 61_000.0, "write": 29_000.0, "log": 10_500.0, "think": 3_500.0})
    (told,) = kept.growth("request", before, now)
    assert "104,000 instructions, 4.0% more than the 100,000" in told
    assert [line.split()[::-1] for line in told.splitlines()[1:]] == [
        ["think", "+3,500"],
        ["parse", "+1,000"],
        ["log", "+500"],
    ]


def test_what_differs_from_run_to_run_is_none():
    before = Cost(100_000.0, {"parse": 100_000.0})
    assert kept.growth("request", before, Cost(102_900.0, {"parse": 102_900.0})) == []
    assert kept.growth("request", before, Cost(50_000.0, {"parse": 50_000.0})) == []


def test_no_more_than_ten_functions_are_named():
    now = Cost(2_000.0, {f"f{number}": 100.0 for number in range(20)})
    assert len(kept.growth("request", Cost(1_000.0, {}), now)[0].splitlines()) == 1 + kept.NAMED


def test_what_is_kept_holds_for_one_python(tmp_path: Path):
    path = tmp_path / "kept.json"
    assert kept.read(path) == {}
    kept.write({"plain": {"request": Cost(1_000.4, {"parse": 990.4, "little": 10.0})}}, path)
    assert kept.read(path) == {"plain": {"request": Cost(1_000, {"parse": 990})}}
    assert kept.read(path, "another") == {}


class Uncounted(callgrind.Counted):
    """The job as it is without callgrind, which takes half a minute."""

    counter = ()

    def start_counting(self) -> None:
        """Nothing counts."""

    zero = start_counting

    def count(self) -> dict[str, int]:  # type: ignore[override]
        return {"all": 64}


def test_each_load_gets_its_answers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(instructions_suite, "Counted", Uncounted)
    found = instructions_suite.measure(list(CASES), 1)
    assert {case: len(counts) for case, counts in found.items()} == dict.fromkeys(CASES, 1)
    assert found[instructions_suite.HTTP1][0].total == 64 / (32 * CASES[instructions_suite.HTTP1][2])
