import pytest

from nodemesh.telemetry.shares import Shares
from nodemesh.telemetry.span import Span


def span(service, number=0):
    return Span("otel", "a", str(number), "", "n", service, 0.0, 0.0, False, {})


def put(shares, service, count):
    return [shares.put(span(service, number)) for number in range(count)].count(False)


def test_a_loud_namespace_has_what_others_leave():
    shares = Shares(10)
    assert put(shares, "a.loud", 6) == 0 and put(shares, "b.loud", 20) == 16
    assert put(shares, "web.quiet", 3) == 3, "each pushes one of the other's out"
    found = shares.take(100)
    assert [s.service for s in found].count("web.quiet") == 3 and len(found) == 10 and len(shares) == 0


def test_nobody_pushes_out_who_has_no_more():
    shares = Shares(4)
    put(shares, "a.one", 2)
    put(shares, "a.two", 2)
    assert put(shares, "a.one", 5) == 5 and put(shares, "a.two", 5) == 5
    assert sorted(s.service for s in shares.take(9)) == ["a.one"] * 2 + ["a.two"] * 2


def test_they_are_taken_in_turn_and_in_order():
    shares = Shares(10)
    put(shares, "a.one", 3)
    put(shares, "a.two", 1)
    assert [(s.service, s.span_id) for s in shares.take(3)] == [("a.one", "0"), ("a.two", "0"), ("a.one", "1")]
    assert [s.span_id for s in shares.take(3)] == ["2"] and shares.take(1) == []


@pytest.mark.parametrize(("meanwhile", "lost"), [(0, 0), (2, 1), (5, 3)])
def test_what_comes_back_is_first_and_has_the_room_that_is_left(meanwhile, lost):
    shares = Shares(4)
    put(shares, "a.one", 3)
    taken = shares.take(3)
    for number in range(meanwhile):
        shares.put(span("a.one", 10 + number))
    assert shares.put_back(taken) == lost
    assert [s.span_id for s in shares.take(9)][: 3 - lost] == ["0", "1", "2"][lost:]
