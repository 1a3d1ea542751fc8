"""A pod's buffers: what is stopped when they are full, when it goes on, and who has to go where nothing moves."""

from __future__ import annotations

from nodemesh.proxy.gate import FLOOR, STUCK, Account, Gate
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
    gate = Gate(dict(enumerate(connections)), Account())
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


def test_what_is_blocked_stops_the_answers_but_not_what_the_client_sends():
    client, upstream = Connection(True), Connection(False)
    gate = gate_of(client, upstream)
    gate.change_held(500)
    gate.change_blocked(999)
    assert not gate.tight and gate.held == 500 and gate.used == 1499
    gate.change_pending(1)
    assert gate.tight and gate.overfull and gate.stops(upstream) and not gate.stops(client)
    gate.change_blocked(-500)
    assert upstream.openings == 1 and not gate.tight and not gate.overfull


def test_what_is_held_and_what_is_blocked_stop_both_each_its_own():
    client, upstream = Connection(True), Connection(False)
    gate = gate_of(client, upstream)
    gate.change_held(1000)
    gate.change_blocked(1000)
    assert gate.stops(client) and gate.stops(upstream) and not gate.full
    gate.change_blocked(-1000)
    assert (client.openings, upstream.openings) == (1, 1)
    assert gate.stops(client) and not gate.stops(upstream)


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


def shared(size: int, count: int) -> tuple[Account, list[Gate]]:
    above = Account()
    above.share = size
    return above, [Gate({}, above) for _ in range(count)]


def fill(gate: Gate, step: int = 1000) -> None:
    """Hold as much as there may be."""
    while not gate.crowded:
        gate.change_held(step)


def test_one_that_takes_all_it_gets_leaves_half_of_the_node_to_others():
    above, (first, second, third) = shared(1_000_000, 3)
    fill(first)
    assert 500_000 <= first.used < 502_000
    fill(second)
    assert 249_000 <= second.used < 252_000
    third.change_held(100_000)
    assert not third.crowded and above.used == first.used + second.used + 100_000


def test_whoever_has_little_is_never_stopped_for_what_others_have():
    above, (*crowd, quiet) = shared(1_000_000, 40)
    for gate in crowd:
        fill(gate)
    assert above.used < 2_000_000
    quiet.change_held(FLOOR - 1)
    assert not quiet.crowded


def test_who_was_stopped_for_others_goes_on_when_they_have_given_back():
    client = Connection(True)
    above, (hog, _) = shared(1_000_000, 2)
    hog.change_held(800_000)
    gate = Gate({0: client}, above)
    gate.change_held(150_000)
    assert gate.crowded and gate.stops(client)
    hog.change_held(-700_000)
    assert client.openings == 1 and not gate.stops(client) and not above.below


def test_what_a_client_of_a_gateway_has_counts_for_the_gateway_and_the_node():
    above, (gateway,) = shared(1 << 30, 1)
    gateway.share = 1_000_000
    client = Gate({}, gateway)
    client.change_held(1000)
    client.change_pending(500)
    assert (client.held, client.pending) == (gateway.held, gateway.pending) == (1000, 500)
    assert above.used == 1500
    fill(client)
    assert client.used < 502_000 and not gateway.crowded
