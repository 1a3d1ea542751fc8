import os
import socket

from nodemesh.node.channel import Channel
from nodemesh.node.store import FdStore, StoreClient, ToSupervisor


def closed(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False


def test_a_successor_is_given_everything_that_was_put():
    store = FdStore()
    read_end, write_end = os.pipe()
    store.put("pipe", write_end, note="7")
    for _ in range(2):  # one control process after the other
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        store.give(Channel(ours, ToSupervisor))
        client = StoreClient(theirs)
        kept = client.load()
        assert kept["pipe"].note == "7"
        os.write(kept["pipe"].fd, b"x")
        os.close(kept["pipe"].fd)
        ours.close()
        theirs.close()
    assert os.read(read_end, 9) == b"xx"
    store.clear()
    assert os.read(read_end, 9) == b""
    os.close(read_end)


def test_what_is_replaced_or_dropped_is_closed():
    store = FdStore()
    first, second = os.dup(0), os.dup(0)
    store.put("a", first)
    store.put("a", second)
    assert closed(first) and not closed(second)
    store.drop("a")
    store.drop("a")
    assert closed(second) and len(store) == 0
