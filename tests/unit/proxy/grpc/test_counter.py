"""Messages are counted however the body is cut."""

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.grpc.counter import MessageCounter, is_whole


def message(size: int, flag: int = 0) -> bytes:
    return bytes((flag,)) + size.to_bytes(4, "big") + bytes(size)


@given(st.lists(st.integers(0, 300), max_size=8), st.integers(1, 400))
def test_cuts_change_nothing(sizes, cut):
    body = b"".join(message(size, size % 2) for size in sizes)
    counter = MessageCounter()
    for start in range(0, len(body), cut):
        counter.read(body[start : start + cut])
    assert counter.count == len(sizes) and counter.between


def test_a_body_that_is_cut_off():
    counter = MessageCounter()
    counter.read(message(3) + message(5)[:-1])
    assert counter.count == 2 and not counter.between
    counter = MessageCounter()
    counter.read(message(0) + b"\0\0")
    assert counter.count == 1 and not counter.between


def test_a_length_of_four_gibibytes_costs_nothing():
    counter = MessageCounter()
    counter.read(b"\0\xff\xff\xff\xff" + bytes(1000))
    assert counter.count == 1 and counter._rest == 0xFFFFFFFF - 1000


def test_most_pieces_are_whole_messages():
    assert is_whole(message(3)) and is_whole(message(0, 1))
    for piece in (b"", b"\0\0\0\0", message(3)[:-1], message(3) + b"\0", message(3) + message(3)):
        assert not is_whole(piece)
