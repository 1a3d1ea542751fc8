"""The loop over real sockets: what a connection's handler hears, and when."""

from __future__ import annotations

import select
import socket
import struct
import time
from contextlib import suppress

import pytest
from tests.unit.proxy.io.ears import Door, Ear, open_to, turn_until

from nodemesh.proxy.io.reactor import TIMERS, TIMERS_AT_ONCE
from nodemesh.proxy.transport import LAST_WORDS, Buffer
from nodemesh.registry.snapshot import Endpoint


def test_both_ends_of_an_ipv6_connection_have_their_names(reactor):
    """The kernel tells four things of such an address, not two."""
    lane, ear, caller = reactor.add_lane(), Ear(), Ear()
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    reactor.listen(listener, lane, Door(ear), ("10.0.0.1", 80))
    port = listener.getsockname()[1]
    upstream = reactor.connect(Endpoint(address="::1", port=port), -1, lane, None, caller)
    turn_until(reactor, lambda: ear.transport is not None and "connected" in caller.log)
    assert ear.transport.remote == upstream.local != ""
    assert upstream.remote == f"[::1]:{port}"


def test_timers_of_one_moment_leave_room_for_others(reactor, monkeypatch):
    """So many in a turn, and no more than one go of them where each takes long."""
    fired: list[int] = []
    monkeypatch.setattr(time, "monotonic", lambda: reactor.clock.now + 0.002)
    for number in range(3 * TIMERS):
        reactor.clock.after(0.0, lambda number=number: fired.append(number))
    reactor.turn()
    assert len(fired) in (0, TIMERS_AT_ONCE)
    reactor.turn()
    assert 0 < len(fired) <= 2 * TIMERS_AT_ONCE
    monkeypatch.setattr(time, "monotonic", lambda: reactor.clock.now + 0.0001)
    before = len(fired)
    reactor.turn()
    assert len(fired) - before == TIMERS
    monkeypatch.undo()
    turn_until(reactor, lambda: len(fired) == 3 * TIMERS)


def test_what_the_peer_does_not_take_waits_and_then_drains(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    data = bytes(8 << 20)
    ear.transport.send(data)
    assert ear.transport.pending > 0
    client.settimeout(0.01)
    while "drained" not in ear.log:
        with suppress(TimeoutError):
            client.recv(1 << 20)
        reactor.turn()
    assert ear.transport.pending == 0


def test_small_messages_of_one_turn_are_sent_together(reactor):
    """And in their order, whatever is sent between them at once."""

    class Teller(Ear):
        def received(self, data: Buffer) -> None:
            for part in (b"a", b"b"):
                self.transport.send(part)
            with pytest.raises(BlockingIOError):
                client.recv(9)
            self.log.append("told")
            if data == b"much":
                self.transport.send(memoryview(b"large"))
                self.transport.send(b"c")
            if data == b"end":
                self.transport.end()

    ear = Teller()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    client.setblocking(False)
    for asked, answer in ((b"x", b"ab"), (b"much", b"ablargec"), (b"end", b"ab")):
        client.sendall(asked)
        turn_until(reactor, lambda: ear.log)
        assert ear.log == ["told"] and client.recv(99) == answer
        ear.log.clear()
    assert client.recv(9) == b""


def test_a_timer_s_message_is_sent_before_the_loop_waits_again(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    client.setblocking(False)
    fired: list[bool] = []
    reactor.clock.after(0.0, lambda: fired.append(True) or ear.transport.send(b"late"))
    turn_until(reactor, lambda: fired)
    reactor.turn()
    assert client.recv(9) == b"late"


def test_who_is_prompted_is_so_once_before_the_loop_waits_again(reactor):
    class Prompted(Ear):
        def received(self, data: Buffer) -> None:
            self.transport.prompt()
            self.transport.prompt()
            self.log.append("read")

        def prompted(self) -> None:
            self.log.append("prompted")
            self.transport.send(b"said")

    ears = Prompted(), Prompted()
    clients = open_to(reactor, reactor.add_lane(), *ears)
    for client in clients:
        client.setblocking(False)
        client.sendall(b"x")
    turn_until(reactor, lambda: all(ear.log for ear in ears))
    assert [ear.log for ear in ears] == [["read", "prompted"]] * 2
    assert [client.recv(9) for client in clients] == [b"said"] * 2


def test_a_paused_transport_hears_nothing_and_does_not_spin(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    ear.transport.pause()
    client.sendall(b"x")
    client.close()
    start = time.monotonic()
    for _ in range(3):
        reactor.turn()
    assert ear.log == [] and time.monotonic() - start > 0.2
    ear.transport.resume()
    turn_until(reactor, lambda: ear.log == ["received", "ended"])


def test_a_reset_is_heard_even_while_paused(reactor):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    ear.transport.pause()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    turn_until(reactor, lambda: ear.log)
    assert ear.log == ["lost ECONNRESET"] and ear.transport.closed


@pytest.mark.parametrize("left", [1, LAST_WORDS])
def test_a_fin_is_heard_though_the_pod_is_crowded(reactor, left):
    lane, ear = reactor.add_lane(), Ear()
    (client,) = open_to(reactor, lane, ear)
    gate = reactor.gate(lane)
    gate.share = 1000
    gate.change_held(1000)
    client.sendall(bytes(left))
    for _ in range(5):
        reactor.turn()
    assert not ear.data
    client.close()
    turn_until(reactor, lambda: "ended" in ear.log)
    assert len(ear.data) == left


def test_a_fin_behind_much_waits_for_room(reactor):
    lane, ear = reactor.add_lane(), Ear()
    (client,) = open_to(reactor, lane, ear)
    gate = reactor.gate(lane)
    gate.share = 1000
    gate.change_held(1000)
    client.sendall(bytes(LAST_WORDS + 1))
    client.close()
    for _ in range(5):
        reactor.turn()
    assert not ear.data and not select.select([reactor.loop.poller.fileno()], [], [], 0)[0], "nor does the loop spin"
    gate.change_held(-1000)
    turn_until(reactor, lambda: "ended" in ear.log)
    assert len(ear.data) == LAST_WORDS + 1


@pytest.mark.parametrize("hard", [False, True])
def test_a_transport_whose_peer_has_gone_is_stale(reactor, hard):
    ear = Ear()
    (client,) = open_to(reactor, reactor.add_lane(), ear)
    assert not ear.transport.stale
    client.sendall(b"x")
    turn_until(reactor, lambda: ear.data)
    assert not ear.transport.stale
    if hard:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert ear.transport.stale and ear.log == ["received"]


def test_abort_is_a_reset_and_close_is_not(reactor):
    ears = Ear(), Ear()
    first, second = open_to(reactor, reactor.add_lane(), *ears)
    ears[0].transport.abort()
    ears[1].transport.send(b"bye")
    ears[1].transport.close()
    reactor.turn()
    with pytest.raises(ConnectionResetError):
        first.recv(1)
    assert second.recv(10) == b"bye" and second.recv(10) == b""


def test_a_defect_costs_one_connection(reactor, caplog):
    class Broken(Ear):
        def received(self, data: Buffer) -> None:
            raise ZeroDivisionError

    ears = Broken(), Ear()
    first, second = open_to(reactor, reactor.add_lane(), *ears)
    first.sendall(b"x")
    second.sendall(b"y")
    turn_until(reactor, lambda: ears[1].data == b"y" and ears[0].log)
    assert ears[0].log == ["lost ECONNABORTED"] and "ZeroDivisionError" in caplog.text


def test_a_defect_in_what_is_prompted_costs_one_connection(reactor, caplog):
    class Broken(Ear):
        def prompted(self) -> None:
            raise ZeroDivisionError

    ears = Broken(), Ear()
    _, second = open_to(reactor, reactor.add_lane(), *ears)
    ears[0].transport.prompt()
    second.sendall(b"y")
    turn_until(reactor, lambda: ears[1].data == b"y" and ears[0].log)
    assert ears[0].log == ["lost ECONNABORTED"] and "ZeroDivisionError" in caplog.text
