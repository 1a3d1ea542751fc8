import os
import socket

import msgspec
import pytest

from nodemesh.node.channel import FD_LIMIT, Channel, Closed, listen, memfd, read_memfd
from nodemesh.node.store import Drop, Put, ToSupervisor


@pytest.fixture
def ends():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield Channel(left, ToSupervisor), Channel(right, ToSupervisor)
    left.close()
    right.close()


def test_messages_arrive_whole_with_their_descriptors(ends):
    sender, receiver = ends
    first, second = memfd("a", b"one"), memfd("b", b"two" * 100_000)
    sender.send(Put(name="x", note="n"), (first, second))
    sender.send(Drop(name="y"))
    os.close(first)
    os.close(second)
    message, fds = receiver.receive()
    assert message == Put(name="x", note="n")
    assert [read_memfd(fd) for fd in fds] == [b"one", b"two" * 100_000]
    assert receiver.receive() == (Drop(name="y"), [])


def test_a_peer_that_went_is_told_on_both_ways(ends):
    sender, receiver = ends
    sender.close()
    with pytest.raises(Closed):
        receiver.receive()
    with pytest.raises(Closed):
        receiver.send(Drop(name="y"))


def test_words_of_another_language_are_refused_and_their_descriptors_closed(ends):
    sender, receiver = ends
    read_end, write_end = os.pipe()
    socket.send_fds(sender.sock, [b"\xc1"], [write_end])
    os.close(write_end)
    with pytest.raises(msgspec.DecodeError):
        receiver.receive()
    assert os.read(read_end, 1) == b""  # nobody holds the other end any more
    os.close(read_end)


def test_more_descriptors_than_a_message_may_have_are_refused(ends):
    sender, receiver = ends
    fds = [os.dup(0) for _ in range(FD_LIMIT + 1)]
    sender.send(Drop(name="y"), fds)
    with pytest.raises(msgspec.DecodeError, match="descriptors"):
        receiver.receive()
    for fd in fds:
        os.close(fd)


def test_a_socket_left_by_a_dead_process_is_replaced_and_private(tmp_path):
    path = str(tmp_path / "control.sock")
    listen(path).close()
    listener = listen(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    listener.close()
