"""What is kept of a request's body, and for how long."""

from nodemesh.proxy.gate import Account, Gate
from nodemesh.proxy.http.request_body import KEPT, PIECE, SMALL, RequestBody


def test_what_is_held_is_taken_whole_and_may_be_taken_again():
    body = RequestBody(Gate({}, Account()))
    body.hold(b"ab")
    body.passed(memoryview(b"cd"))
    assert body.take() == b"abcd" == body.take() and body.whole and body.size == 4


def test_a_body_over_the_bound_is_not_kept():
    body = RequestBody(Gate({}, Account()))
    body.passed(bytes(KEPT))
    assert body.whole and body.full
    body.passed(b"x")
    assert not body.whole and body.size == 0
    body.passed(b"y")
    assert body.take() == b"", "a part of a body must never pass for the whole"


def test_what_is_forgotten_is_gone():
    body = RequestBody(Gate({}, Account()))
    body.hold(b"ab")
    body.forget()
    assert not body.whole and body.take() == b""


def crowded_gate() -> Gate:
    gate = Gate({}, Account())
    gate.share = 1000
    return gate


def test_what_is_kept_counts_until_it_is_forgotten():
    gate = crowded_gate()
    body = RequestBody(gate)
    body.hold(bytes(900))
    assert gate.held == 900 and body.whole
    body.hold(bytes(900))
    assert gate.held == 1800 and body.whole, "one piece may pass the share"
    other = RequestBody(gate)
    other.passed(bytes(300))
    assert not other.whole, "no room for copies: the request is not tried again"
    other.hold(bytes(300))
    assert gate.held == 2100, "but what no upstream has taken yet is kept"
    body.forget()
    body.forget()
    other.forget()
    assert gate.held == 0 and not gate.crowded and not gate.copies


def test_copies_go_where_there_is_no_room_for_them():
    gate = crowded_gate()
    needed, sent, passed = [RequestBody(gate) for _ in range(3)]
    needed.hold(bytes(300))
    sent.hold(bytes(300))
    sent.sent()
    passed.passed(bytes(300))
    assert gate.held == 900 and sent.whole and passed.whole
    passed.passed(bytes(300))
    assert gate.held == 300 and not gate.crowded and not gate.copies
    assert needed.take() == bytes(300) and needed.whole and not sent.whole and not passed.whole


def test_a_copy_that_is_needed_again_stays():
    gate = crowded_gate()
    body = RequestBody(gate)
    body.passed(bytes(600))
    body.need()  # its upstream has gone
    RequestBody(gate).hold(bytes(600))
    assert gate.crowded and body.whole and body.take() == bytes(600)
    body.sent()
    assert not body.whole and gate.held == 600, "there is no room for it once it has gone out again"


def test_a_small_body_in_one_piece_is_part_of_its_request():
    """Requests are bounded by their number; a body in pieces has more to it than its bytes."""
    gate = crowded_gate()
    body, other = RequestBody(gate, bytes(SMALL), True), RequestBody(gate, bytes(SMALL + 1), True)
    assert gate.held == SMALL + 1
    other.forget()
    body.sent()
    assert gate.held == 0 and not gate.copies and body.whole
    body.hold(b"x")
    body.hold(b"y")
    assert gate.held == SMALL + 2
    body.forget()
    assert gate.held == 0


def test_pieces_are_bounded_by_their_bytes():
    """Each would cost more than its bytes."""
    body = RequestBody(Gate({}, Account()))
    sizes = [2] * 5000 + [PIECE] + [3] * 5000 + [PIECE + 1, 5, 2 * PIECE, 1]
    for number, size in enumerate(sizes):
        body.hold(bytes((number % 256,)) * size)
    assert body.size == sum(sizes) and len(body._pieces) <= 2 + 2 * body.size // PIECE
    assert body.take() == b"".join([bytes((number % 256,)) * size for number, size in enumerate(sizes)]) == body.take()
