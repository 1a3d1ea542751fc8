"""Who is hung and who is only busy, on a clock that the test turns."""

import os
import signal
import subprocess
import sys

import pytest

from nodemesh.node.pulse import LOOK, START_LIMIT, STOPPED_LIMIT, VARIABLE, Heart, Pulse, Standing, standing_of


class Watched:
    """A process that has begun and beaten once, looked at every LOOK seconds."""

    def __init__(self, limit: float = 10.0, *, beaten: bool = True) -> None:
        self.pulse, self.now, self.cpu = Pulse(limit), 1000.0, 0.0
        self.pulse.began(self.now)
        if beaten:
            self.pulse.beat(self.now)

    def silent(self, seconds: float, state: str, share: float = 0.0) -> float | None:
        """After how many seconds of silence it is replaced, None if not within so many. `share` of a CPU is its."""
        for passed in range(1, int(seconds / LOOK) + 1):
            self.now += LOOK
            self.cpu += share * LOOK
            if self.pulse.look(self.now, Standing(state, self.cpu)):
                return passed * LOOK
        return None


def test_one_that_waits_for_ever_or_spins_is_replaced_at_the_limit():
    assert Watched().silent(60, "S") == 10
    assert Watched().silent(60, "D") == 10
    assert Watched().silent(60, "R", share=1.0) == 10


def test_a_stopped_one_is_replaced_within_seconds():
    assert Watched(30.0).silent(60, "T") == STOPPED_LIMIT
    assert Watched(1.0).silent(60, "t") == 1


def test_one_that_the_machine_keeps_from_running_is_charged_only_what_it_ran():
    crowded = Watched()
    assert crowded.silent(50, "R", share=0.125) is None  # a spinning one of eight on a processor
    assert crowded.silent(60, "R", share=0.125) == 30  # 80 s in all
    assert Watched().silent(3600, "R", share=0.0) is None


def test_a_beat_takes_all_back():
    watched = Watched()
    for _ in range(10):
        assert watched.silent(9, "S") is None
        watched.pulse.beat(watched.now)


def test_time_in_which_nobody_looked_does_not_count():
    watched = Watched()
    for _ in range(4):  # a whole machine that stands still for an hour, again and again
        watched.now += 3600
        assert not watched.pulse.look(watched.now, Standing("S", 0.0))
    assert watched.silent(60, "S") == 2


def test_a_start_has_more_time_and_no_limit_is_none():
    assert Watched(beaten=False).silent(300, "S") == START_LIMIT
    assert Watched(0.0).silent(300, "T") is None


def test_a_heart_beats_into_its_pipe_and_never_waits(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setenv(VARIABLE, str(writer))
    heart = Heart()
    assert VARIABLE not in os.environ and not os.get_inheritable(writer)
    for _ in range(100_000):  # more than a pipe holds
        heart.beat()
    assert os.read(reader, 4096)
    os.close(reader)
    heart.beat()
    os.close(writer)


def test_without_a_supervisor_nothing_beats(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    Heart().beat()


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_what_the_kernel_says_of_a_process(sleeper):
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    standing = standing_of(sleeper.pid)
    assert standing is not None and standing.state == "T" and standing.cpu >= 0
    sleeper.kill()
    sleeper.wait()
    assert standing_of(sleeper.pid) is None
