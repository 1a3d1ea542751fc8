"""The turns of pods in the loop: none waits for another's, whoever has more."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest
from tests.unit.proxy.io.ears import Door, Ear, open_to, turn_until

from nodemesh.proxy.io.lane import QUANTUM
from nodemesh.proxy.io.reactor import AT_WORK, MIN_READ
from nodemesh.proxy.network import Watcher
from nodemesh.proxy.transport import READ_SIZE, Buffer


def test_a_busy_pod_does_not_keep_a_quiet_one_waiting(reactor):
    log: list[str] = []
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(" crowd", log) for _ in range(3 * QUANTUM)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    for client in [*crowd, single]:
        client.sendall(b"x")
    reactor.turn()
    assert log.count("received crowd") == QUANTUM and log.count("received single") == 1
    turn_until(reactor, lambda: len(log) == 3 * QUANTUM + 1)


def test_a_turn_ends_after_its_time_and_nobody_is_left_out(reactor):
    """However long each socket takes: here the first one's time is all of the turn."""
    log: list[str] = []
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(f" {number}", log) for number in range(QUANTUM + 8)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    reactor.shared_turn = reactor.lone_turn = 0.0
    for client in crowd:
        client.sendall(b"x")
    for turn in range(1, len(crowd) + 1):
        single.sendall(b"x")
        turn_until(reactor, lambda turn=turn: log.count("received single") == turn)
        assert len(log) == 2 * turn, "one of the crowd for one of the other pod"
    assert len(set(log)) == len(crowd) + 1, "each had its turn"


class Busy(Ear):
    """Has more to do with what it gets than one turn takes."""

    left = 5

    def received(self, data: Buffer) -> None:
        super().received(data)
        self.transport.later(self.go_on)

    def go_on(self) -> None:
        self.log.append(f"again{self.name}")
        self.left -= 1
        if self.left:
            self.transport.later(self.go_on)


def test_what_is_left_for_later_is_the_pods_own_time(reactor):
    """Many connections that each go on and on: one piece of theirs a turn, where that is all of their pod's time."""
    log: list[str] = []
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Busy(" crowd", log) for _ in range(8)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    reactor.shared_turn = reactor.lone_turn = 0.0
    for client in crowd:
        client.sendall(b"x")
    turn_until(reactor, lambda: log.count("received crowd") == 8)
    single.sendall(b"x")
    before = log.count("again crowd")
    reactor.turn()
    assert "received single" in log and log.count("again crowd") == before + 1
    turn_until(reactor, lambda: log.count("again crowd") == 8 * Busy.left)
    assert not reactor.loop.lanes.busy


def test_what_is_left_for_later_has_its_turn_beside_sockets_that_are_always_ready(reactor):
    log: list[str] = []
    lane = reactor.add_lane()
    ready, busy = open_to(reactor, lane, Ear(" ready", log), Busy(" busy", log))
    reactor.shared_turn = reactor.lone_turn = 0.0
    busy.sendall(b"x")
    turn_until(reactor, lambda: "received busy" in log)
    for _ in range(20):
        ready.sendall(b"x")
        reactor.turn()
    assert log.count("again busy") == Busy.left


def fail():
    raise ZeroDivisionError


def test_a_defect_of_what_is_left_costs_no_other(reactor, caplog):
    lane = reactor.add_lane()
    ear = Ear()
    (client,) = open_to(reactor, lane, ear)
    ear.transport.later(fail)
    ear.transport.later(lambda: ear.log.append("after it"))
    turn_until(reactor, lambda: "after it" in ear.log)
    assert "what was left for a later turn failed" in caplog.text and not reactor.loop.lanes.busy
    client.close()


def test_a_pod_alone_has_longer_turns(reactor):
    log: list[str] = []
    lane, other = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, lane, *(Ear(log=log) for _ in range(4)))
    (single,) = open_to(reactor, other, Ear(" single", log))
    reactor.shared_turn = 0.0
    single.sendall(b"x")
    turn_until(reactor, lambda: log == ["received single"])
    for client in crowd:
        client.sendall(b"x")
    reactor.turn()
    assert len(log) == 2, "the other pod was at work a moment ago"
    turn_until(reactor, lambda: len(log) == 5)
    reactor.clock.now = time.monotonic()
    end = reactor.clock.now + AT_WORK
    turn_until(reactor, lambda: time.monotonic() > end)
    for client in crowd:
        client.sendall(b"x")
    reactor.turn()
    assert len(log) == 9


@pytest.mark.parametrize("deed", ["close", "abort", "pause"])
def test_what_was_left_of_a_turn_hears_nothing_if_it_is_not_to(reactor, deed):
    ears: list[Ear] = []

    class First(Ear):
        def received(self, data: Buffer) -> None:
            super().received(data)
            for ear in ears:
                if ear is not self and ear.transport is not None:
                    getattr(ear.transport, deed)()

    ears += [First(), First(), First()]
    lane = reactor.add_lane()
    clients = open_to(reactor, lane, *ears)
    reactor.shared_turn = reactor.lone_turn = 0.0
    for client in clients:
        client.sendall(b"x")
    for _ in range(6):
        reactor.turn()
    assert sorted(bool(ear.data) for ear in ears) == [False, False, True]
    assert not any(entry.startswith("lost") for ear in ears for entry in ear.log)


def test_a_lane_outlives_its_pod_until_its_last_socket(reactor):
    ear = Ear()
    lane = reactor.add_lane()
    (client,) = open_to(reactor, lane, ear)
    reactor.drop_lane(lane, -1)
    client.sendall(b"x")
    turn_until(reactor, lambda: ear.data == b"x")
    ear.transport.close()
    reactor.turn()
    assert lane not in reactor.loop.lanes.known


def test_who_had_no_time_in_the_turn_before_comes_first(reactor):
    log: list[str] = []
    reactor.at_work = 60.0
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(" crowd", log) for _ in range(QUANTUM)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    for turn in range(1, 6):
        for client in crowd:
            client.sendall(b"x")
        if turn % 2:
            reactor.turn()
            assert log == ["received crowd"] * QUANTUM
        else:
            single.sendall(b"x")  # what the crowd has to say is there already
            reactor.turn()
            assert log == ["received single"] + ["received crowd"] * QUANTUM
        log.clear()


class Caller(Watcher):
    """A datagram socket that is always readable."""

    def __init__(self, reactor, lane, log, name):
        self.log, self.name = log, name
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.theirs.send(b"x")
        reactor.loop.watch(self.ours.fileno(), self, False, reactor.loop.lanes.known[lane])

    def readable(self):
        self.log.append(self.name)


def test_all_that_is_done_for_a_pod_is_part_of_its_turn_and_nothing_of_it_is_left_out(reactor):
    """Its sockets, its new connections and its datagrams: one of them is all of the turn here."""
    log: list[str] = []
    reactor.at_work = 60.0
    many, few = reactor.add_lane(), reactor.add_lane()
    (talker,) = open_to(reactor, many, Ear(" talker", log))
    (single,) = open_to(reactor, few, Ear(" single", log))
    door = socket.create_server(("127.0.0.1", 0), backlog=64)
    newcomers = [Ear() for _ in range(12)]
    reactor.listen(door, many, Door(*newcomers), ("10.0.0.1", 80))
    clients = [socket.create_connection(door.getsockname()) for _ in newcomers]
    callers = [Caller(reactor, many, log, f"caller {number}") for number in range(40)]
    reactor.shared_turn = reactor.lone_turn = 0.0

    def come():
        return sum(ear.transport is not None for ear in newcomers)

    for turn in range(1, 13 * len(callers)):
        if not turn % 7:
            single.sendall(b"x")
        talker.sendall(b"x")
        before = come()
        reactor.turn()
        busy = len(log) - log.count("received single") + come() - before
        assert busy <= 2, "one, and in any case one of the sockets"
        log.clear()
        if come() == len(newcomers):
            break
    assert come() == len(newcomers)
    seen: set[str] = set()
    for _ in range(3 * len(callers)):
        reactor.turn()
        seen.update(log)
    assert len(seen & {caller.name for caller in callers}) == len(callers)
    for sock in [*clients, *(end for caller in callers for end in (caller.ours, caller.theirs))]:
        sock.close()


class Sizes(Ear):
    """Notes how much comes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def received(self, data: Buffer) -> None:
        self.sizes.append(len(data))


def test_whose_bytes_are_dear_gets_fewer_at_once_and_more_again_when_they_are_not(reactor):
    ear = Sizes()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    client.setblocking(False)
    reactor.shared_turn = -1.0  # everything takes longer
    for _ in range(12):
        with suppress(BlockingIOError):
            client.sendall(b"x" * READ_SIZE)
        reactor.turn()
    sizes = ear.sizes
    assert sizes[:5] == [READ_SIZE >> shift for shift in range(5)] and set(sizes[5:]) == {MIN_READ}
    reactor.shared_turn = 60.0
    sizes.clear()
    for _ in range(8):
        reactor.turn()
    assert sizes[:5] == [MIN_READ << shift for shift in range(5)] and max(sizes) == READ_SIZE


def test_a_pod_that_was_alone_until_now_is_behind_too(reactor):
    log: list[str] = []
    reactor.at_work = -1.0  # at work no longer by the next turn
    many, few = reactor.add_lane(), reactor.add_lane()
    crowd = open_to(reactor, many, *(Ear(" crowd", log) for _ in range(QUANTUM)))
    (single,) = open_to(reactor, few, Ear(" single", log))
    for turn in range(3):
        for client in crowd:
            client.sendall(b"x")
        if turn == 2:
            single.sendall(b"x")
        log.clear()
        reactor.turn()
    assert log == ["received single"] + ["received crowd"] * QUANTUM
