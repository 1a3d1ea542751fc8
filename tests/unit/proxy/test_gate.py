"""A pod's buffers: what is stopped when they are full, when it goes on, and who has to go where nothing moves."""

from __future__ import annotations

from nodemesh.proxy.gate import STUCK, Gate
from nodemesh.proxy.transport import SILENT, Transport


class Connection(Transport):
    """Writes down when it may be read again."""

    def __init__(self, accepted: bool, pending: int = 0) -> None:
        super().__init__(SILENT)
        self.accepted = accepted
        self.pending = pending
        self.openings = 0

    def reopened(self) -> None:
        self.openings += 1


def gate_of(*connections: Connection) -> Gate:
    gate = Gate(dict(enumerate(connections)))
    gate.share = 1000
    return gate


def test_what_is_to_be_written_stops_everything_until_half_is_gone():
    client, upstream = Connection(True), Connection(False)
    gate = gate_of(client, upstream)
    gate.change_pending(999)
    assert not gate.stops(client) and not gate.stops(upstream)
    gate.change_pending(1)
    assert gate.stops(client) and gate.stops(upstream)
    gate.change_pending(-499)
    assert gate.full and client.openings == 0
    gate.change_pending(-1)
    assert (client.openings, upstream.openings) == (1, 1) and not gate.stops(client)


def test_what_is_held_stops_the_pod_but_not_the_answers_to_it():
    client, upstream = Connection(True), Connection(False)
    gate = gate_of(client, upstream)
    gate.change_held(800)
    gate.change_pending(200)
    assert gate.stops(client) and not gate.stops(upstream)
    gate.change_pending(-200)
    gate.change_held(-300)
    assert client.openings == 1


def test_a_connection_that_is_closed_hears_nothing():
    client = Connection(True)
    gate = gate_of(client)
    gate.change_pending(1000)
    assert gate.stops(client)
    gate.forget(client)
    gate.change_pending(-1000)
    assert client.openings == 0


def test_the_largest_goes_where_nothing_moves():
    small, large = Connection(True, 100), Connection(True, 900)
    gate = gate_of(small, large)
    assert gate.overdue(0.0) is None, "nothing is full"
    gate.change_pending(2000)
    gate.change_pending(-1)
    assert gate.overdue(100.0) is None and gate.overdue(100.0 + STUCK - 1.0) is None
    gate.change_pending(-1)
    assert gate.overdue(100.0 + STUCK) is None, "a byte was taken"
    assert gate.overdue(100.0 + 2 * STUCK) is large
    assert gate.overdue(100.0 + 2 * STUCK + 1.0) is None, "one at a time"
