"""Counts of what is of no use, each bounded, and each with what explains it."""

from __future__ import annotations

import pytest

from nodemesh.proxy.http2.codes import ENHANCE_YOUR_CALM
from nodemesh.proxy.http2.fault import ConnectionFault
from nodemesh.proxy.http2.watch import Allowance, Watch
from nodemesh.reasons import Reason


def until(deed, most: int = 10_000) -> tuple[int, Reason]:
    """How many times something may be done, and for what reason no more."""
    for count in range(most):
        try:
            deed()
        except ConnectionFault as error:
            assert error.fault.code == ENHANCE_YOUR_CALM
            return count, error.fault.reason
    return most, Reason.NONE


def test_an_allowance_comes_back():
    allowance = Allowance(2, 0.5, 0.0)
    assert [allowance.take(now) for now in (0.0, 0.0, 0.0)] == [True, True, False]
    assert not allowance.take(1.0) and not allowance.take(2.0)
    allowance = Allowance(2, 0.5, 0.0)
    assert allowance.take(0.0) and allowance.take(0.0) and allowance.take(2.0) and not allowance.take(3.0)
    allowance = Allowance(1, 0.5, 0.0)
    assert allowance.take(100.0) and not allowance.take(100.0)  # never more than its size
    allowance.left = 0.0
    allowance.earn(1)
    assert allowance.take(100.0)


@pytest.mark.parametrize(("streams", "most"), [(10, 100), (100, 100), (1024, 1024)])
def test_resets_at_once(streams, most):
    """All calls of a client may come to their deadline together."""
    watch = Watch(streams, 0.0)
    assert until(lambda: watch.reset(0.0)) == (most, Reason.HTTP2_RESET_FLOOD)


@pytest.mark.parametrize(("per_second", "most"), [(99, 10_000), (200, 200)])
def test_resets_per_second(per_second, most):
    watch = Watch(100, 0.0)
    times = iter(range(1, 20_000))
    assert until(lambda: watch.reset(next(times) / per_second))[0] == pytest.approx(most, abs=2)


def test_questions():
    watch = Watch(100, 0.0)
    assert until(lambda: watch.asked(0.0)) == (100, Reason.HTTP2_CONTROL_FLOOD)
    watch = Watch(100, 0.0)
    times = iter(range(10_000))
    assert until(lambda: watch.asked(next(times) / 10.0)) == (10_000, Reason.NONE)


@pytest.mark.parametrize("explained", ["filled", "sent"])
def test_questions_that_data_explains(explained):
    watch = Watch(100, 0.0)

    def both():
        setattr(watch, explained, getattr(watch, explained) + 1)
        watch.asked(0.0)

    assert until(both) == (10_000, Reason.NONE)


def test_empty_frames():
    watch = Watch(100, 0.0)
    assert until(watch.empty) == (10, Reason.HTTP2_EMPTY_FRAMES_FLOOD)
    watch = Watch(100, 0.0)

    def both():
        watch.empty()
        watch.filled += 1

    assert until(both) == (10_000, Reason.NONE)


def test_idle_frames():
    watch = Watch(100, 0.0)
    assert until(watch.idle) == (100, Reason.HTTP2_IDLE_FRAMES_FLOOD)
    watch = Watch(100, 0.0)
    watch.streams += 1
    assert until(watch.idle) == (200, Reason.HTTP2_IDLE_FRAMES_FLOOD)


def test_window_updates():
    watch = Watch(100, 0.0)
    assert until(watch.updated) == (100, Reason.HTTP2_WINDOW_UPDATE_FLOOD)
    watch = Watch(100, 0.0)
    watch.streams += 1
    watch.sent += 1
    assert until(watch.updated) == (112, Reason.HTTP2_WINDOW_UPDATE_FLOOD)


def test_data_brings_no_settings_back():
    watch = Watch(100, 0.0)

    def again():
        watch.filled += 1
        watch.sent += 1
        watch.configured(0.0)

    assert until(again) == (100, Reason.HTTP2_CONTROL_FLOOD)
