from nodemesh.telemetry.sweep import IDLE_LOOKS, TAKEN, Sweep


class Series:
    def __init__(self, new=True):
        self.new, self.idle = new, 0

    def take(self, labels):
        taken, self.new = self.new, False
        return labels if taken else None


def table(name, count, new=True):
    return {(f"{name}-{number}",): Series(new) for number in range(count)}


def test_every_series_has_its_turn_whatever_comes_meanwhile():
    one, two = table("one", 3), table("two", 3)
    sweep = Sweep(one, two)
    assert sweep.take(2 * TAKEN) == [[("one-0",), ("one-1",)], []] and sweep.more
    one["late",] = Series()
    one["one-0",].new = True
    assert sweep.take(10 * TAKEN) == [[("one-2",)], [("two-0",), ("two-1",), ("two-2",)]] and not sweep.more
    assert sweep.take(10 * TAKEN) == [[("one-0",), ("late",)], []] and not sweep.more


def test_looks_in_vain_are_counted_too():
    sweep = Sweep(table("one", 100, new=False))
    sweep.take(60)
    assert sweep.more
    sweep.take(60)
    assert not sweep.more


def test_what_is_not_counted_under_for_long_leaves():
    idle, busy = table("idle", 2), table("busy", 1)
    sweep = Sweep(idle, busy)
    for _ in range(IDLE_LOOKS + 1):
        busy["busy-0",].new = True
        sweep.take(1000)
    assert not idle and sorted(sweep.idle) == [("idle-0",), ("idle-1",)] and busy
