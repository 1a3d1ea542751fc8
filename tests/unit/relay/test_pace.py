import pytest

from nodemesh.relay.pace import GATHER, Pace


def test_a_change_waits_for_company_and_a_pressing_one_does_not():
    pace = Pace()
    assert pace.due(10.0, pressing=False) == 10.0 + GATHER
    assert pace.due(10.0, pressing=True) == 10.0


def test_telling_takes_at_most_half_of_the_time_however_pressing_it_is():
    pace, now, busy = Pace(), 0.0, 0.0
    for _ in range(20):
        began = pace.due(now, pressing=True)
        now = began + 0.3  # a thousand watchers
        busy += 0.3
        pace.told(began, now)
    assert busy / pace.due(now, pressing=True) == pytest.approx(0.5)
    assert pace.due(now, pressing=False) == pace.due(now, pressing=True), "what came meanwhile has had its company"


def test_few_watchers_are_told_without_a_pause():
    pace = Pace()
    pace.told(1.0, 1.001)
    assert pace.due(1.01, pressing=True) == 1.01
