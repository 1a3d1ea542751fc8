import os
import time

from nodemesh.node.gaps import Gaps, started


def test_a_pod_that_nobody_had_hooked_went_without_from_its_start():
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - started(os.getpid())
    found = Gaps(set(), 0.0, 2.0).before("a", os.getpid(), False)
    assert age <= found <= age + 5


def test_a_pod_that_was_hooked_went_without_from_where_the_last_beat_was_too_old():
    gaps = Gaps({"a"}, time.monotonic() - 10, 2.0)
    assert 8.0 <= gaps.before("a", os.getpid(), False) <= 13.0
    assert gaps.before("b", os.getpid(), True) > 0


def test_a_pod_that_somebody_serves_all_the_while_never_went_without():
    assert Gaps({"a"}, time.monotonic(), 2.0).before("a", os.getpid(), False) == 0


def test_a_hooked_pod_that_fails_closed_was_refused():
    assert Gaps({"a"}, time.monotonic() - 10, 2.0).before("a", os.getpid(), True) == 0


def test_a_process_that_has_ended_tells_nothing():
    assert Gaps(set(), 0.0, 2.0).before("a", 2**22 + 1, False) == 0
