"""Timers fire in their order, never early, and cost nothing once cancelled."""

from nodemesh.proxy.clock import Clock


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


def test_wait_tells_the_next_timer_that_counts():
    clock = Clock(5.0)
    timer = clock.after(0.1, list)
    clock.after(2.0, list)
    assert 0.1 <= clock.wait() <= 0.102
    clock.cancel(timer)
    assert 2.0 <= clock.wait() <= 2.002


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
