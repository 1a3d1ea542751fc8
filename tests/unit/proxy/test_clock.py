"""Timers fire in their order, never early, and cost nothing once cancelled."""

import pytest

from nodemesh.proxy.clock import AT_ONCE, Alarm, Clock, Waiter


class Calls(list):
    def note(self, name):
        return lambda: self.append(name)


def test_timers_fire_in_order_and_not_early():
    clock, calls = Clock(10.0), Calls()
    clock.after(0.2, calls.note("b"))
    clock.after(0.1, calls.note("a"))
    clock.advance(10.0999)
    assert calls == []
    clock.advance(10.102)
    assert calls == ["a"]
    clock.advance(11.0)
    assert calls == ["a", "b"]


def test_a_cancelled_timer_is_silent_and_cancelling_twice_does_no_harm():
    clock, calls = Clock(), Calls()
    timer = clock.after(0.1, calls.note("a"))
    clock.cancel(timer)
    clock.cancel(timer)
    clock.advance(1.0)
    assert calls == [] and clock.wait() is None


def test_a_timer_may_arm_and_cancel_others():
    clock, calls = Clock(), Calls()
    victim = clock.after(0.1, calls.note("victim"))

    def act():
        clock.cancel(victim)
        clock.after(0.0, calls.note("next"))

    first = clock.after(0.05, act)
    clock.advance(0.2)
    clock.cancel(first)
    clock.advance(0.3)
    assert calls == ["next"]


def nothing():
    pass


def test_wait_tells_the_next_timer_that_counts():
    clock = Clock(5.0)
    timer = clock.after(0.1, nothing)
    clock.after(2.0, nothing)
    wait = clock.wait()
    assert wait is not None and 0.1 <= wait <= 0.102
    clock.cancel(timer)
    wait = clock.wait()
    assert wait is not None and 2.0 <= wait <= 2.002


def test_waiting_for_what_wait_says_is_enough():
    clock, calls = Clock(1000.0), Calls()
    for number in range(1000):
        clock.after(number * 0.0137, calls.note(number))
    turns = 0
    while (wait := clock.wait()) is not None:
        clock.advance(clock.now + wait)
        turns += 1
    assert len(calls) == 1000 and turns <= 1000


def test_the_time_of_day_moves_with_the_clock():
    clock = Clock(5.0, 100.0)
    clock.advance(6.5)
    assert clock.time() == 106.5 and clock.read() == 6.5


def test_an_alarm_rings_at_the_moment_that_was_set_last_and_once():
    clock = Clock()
    alarm = Alarm(clock)
    rang: list[tuple[str, float]] = []
    alarm.set(5.0, lambda: rang.append(("first", clock.now)))
    clock.advance(4.0)
    alarm.set(3.0, lambda: rang.append(("later", clock.now)))  # at 7
    clock.advance(6.0)
    assert not rang
    clock.advance(7.1)
    assert rang == [("later", 7.1)]
    alarm.set(9.0, lambda: rang.append(("never", clock.now)))
    alarm.set(1.0, lambda: rang.append(("sooner", clock.now)))
    clock.advance(8.2)
    clock.advance(30.0)
    assert rang[1:] == [("sooner", 8.2)]


def test_an_alarm_that_is_cleared_or_closed_is_silent():
    clock = Clock()
    alarm, rang = Alarm(clock), []
    alarm.set(1.0, lambda: rang.append(1))
    alarm.clear()
    clock.advance(2.0)
    assert not rang and clock.wait() is None
    alarm.set(1.0, lambda: rang.append(2))
    alarm.close()
    assert clock.wait() is None, "and leaves no timer behind"
    clock.advance(9.0)
    assert not rang


def test_an_alarm_that_is_put_off_each_time_keeps_one_timer():
    """And no slot for each tick at which it might have rung."""
    clock = Clock()
    alarm = Alarm(clock)
    for number in range(1000):
        clock.advance(number / 1000.0)
        alarm.set(15.0, lambda: None)
        alarm.clear()
    assert clock.wait() == pytest.approx(15.0 - 0.999, abs=0.3)
    clock.advance(16.0)
    assert clock.wait() is None


class Waiting(Waiter):
    def __init__(self, name, expired):
        self.name = name
        self.log = expired

    def expired(self):
        self.log.append(self.name)


def test_those_that_wait_equally_long_expire_each_at_its_time():
    clock, log = Clock(), []
    common = clock.common(10.0)
    assert clock.common(10.0) is common is not clock.common(11.0)
    common.join(Waiting("a", log))
    clock.advance(4.0)
    common.join(Waiting("b", log))
    clock.advance(9.9)
    assert log == []
    clock.advance(10.01)
    assert log == ["a"]
    clock.advance(13.9)
    assert log == ["a"]
    clock.advance(14.01)
    assert log == ["a", "b"] and clock.wait() is None
    common.join(Waiting("c", log))
    clock.advance(24.1)
    assert log == ["a", "b", "c"]


def test_who_leaves_a_common_timeout_hears_nothing_and_delays_nobody():
    clock, log = Clock(), []
    common = clock.common(10.0)
    first, second = Waiting("a", log), Waiting("b", log)
    common.join(first)
    clock.advance(1.0)
    common.join(second)
    common.leave(first)
    common.leave(first)
    clock.advance(10.5)
    assert log == [] and clock.wait() == pytest.approx(0.5, abs=0.01)
    clock.advance(11.01)
    assert log == ["b"]


def test_one_that_leaves_or_fails_while_others_expire():
    class Failing(Waiting):
        def expired(self):
            common.leave(second)
            raise ZeroDivisionError

    clock, log = Clock(), []
    common = clock.common(1.0)
    second = Waiting("b", log)
    for waiter in (Failing("a", log), second, Waiting("c", log)):
        common.join(waiter)
    with pytest.raises(ZeroDivisionError):
        clock.advance(1.01)
    clock.advance(1.02)
    assert log == ["c"]


def test_so_many_timers_fire_at_once_and_the_others_are_not_forgotten():
    clock, fired = Clock(), []
    for number in range(5):
        clock.after(1.0, lambda number=number: fired.append(number))
    clock.advance(2.0, 2)
    assert fired == [0, 1] and clock.wait() == 0.0
    clock.advance(2.0, 2)
    assert fired == [0, 1, 2, 3]
    clock.advance(2.0)
    assert fired == [0, 1, 2, 3, 4] and clock.wait() is None


def test_of_many_that_wait_equally_long_some_expire_at_once():
    clock, log = Clock(), []
    common = clock.common(10.0)
    for number in range(2 * AT_ONCE + 1):
        common.join(Waiting(number, log))
    clock.advance(10.001)
    assert log == list(range(AT_ONCE))
    clock.advance(10.1)
    clock.advance(10.2)
    assert log == list(range(2 * AT_ONCE + 1)) and clock.wait() is None
