"""Which network namespace a pod's is: that of a process which is the pod's, whatever becomes of it meanwhile."""

import os
from pathlib import Path

import pytest

from nodemesh.datapath import cgroups
from nodemesh.node.kernel import Kernel, NotEnrolled

CGROUP = Path("/pod")


@pytest.fixture
def kernel():
    found = Kernel.__new__(Kernel)
    found._hosts = frozenset()
    return found


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_a_process_of_the_pod_says_which(kernel, monkeypatch):
    monkeypatch.setattr(cgroups, "pids", lambda cgroup: iter([os.getpid()]))
    place = kernel.place(CGROUP)
    os.close(place.namespace)
    assert (place.pid, place.inode) == (os.getpid(), os.stat("/proc/self/ns/net").st_ino)


def test_who_has_the_number_of_one_that_has_ended_does_not(kernel, monkeypatch):
    """Between the look at the cgroup and the opening of the namespace."""
    walks = iter([[os.getpid()], []])
    monkeypatch.setattr(cgroups, "pids", lambda cgroup: iter(next(walks)))
    before = descriptors()
    with pytest.raises(NotEnrolled, match="no process runs in its cgroup"):
        kernel.place(CGROUP)
    assert descriptors() == before
