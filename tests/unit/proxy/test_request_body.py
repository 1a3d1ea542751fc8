"""What is kept of a request's body, and for how long."""

from nodemesh.proxy.request_body import KEPT, RequestBody


def test_what_is_held_is_taken_whole_and_may_be_taken_again():
    body = RequestBody()
    body.hold(b"ab")
    body.passed(memoryview(b"cd"))
    assert body.take() == b"abcd" == body.take() and body.whole and body.size == 4


def test_a_body_over_the_bound_is_not_kept():
    body = RequestBody()
    body.passed(bytes(KEPT))
    assert body.whole and body.full
    body.passed(b"x")
    assert not body.whole and body.size == 0
    body.passed(b"y")
    assert body.take() == b"", "a part of a body must never pass for the whole"


def test_what_is_forgotten_is_gone():
    body = RequestBody()
    body.hold(b"ab")
    body.forget()
    assert not body.whole and body.take() == b""
