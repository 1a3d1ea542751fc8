"""The plain platform: no namespaces, no maps, and no descriptor left behind."""

import os
import socket
from contextlib import closing

import pytest

from nodemesh.proxy.io.platform import Platform


def test_sockets_are_the_workers_own():
    with closing(Platform().open_socket(-1, socket.AF_INET)) as sock:
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    with pytest.raises(OSError, match="eBPF"):
        Platform().open_socket(3, socket.AF_INET)


def test_nobody_knows_where_a_client_wanted_to():
    near, far = socket.socketpair()
    with near, far:
        assert Platform().original_destination(near, ("10.1.0.9", 40000)) is None


def test_maps_are_not_kept():
    ends = list(os.pipe())
    more = list(os.pipe())
    Platform().set_maps(ends, 0)
    Platform().set_sockmap(more)
    for end in (*ends, *more):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(end)
