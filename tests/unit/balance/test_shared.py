import mmap
import os
from random import Random

import pytest
from tests.unit.balance.building import Clock, cluster, endpoint

from nodemesh.balance.group import Group
from nodemesh.balance.shared import Ledger, Share, size_of
from nodemesh.routing.decision import ConnectionPool, Outlier


class Node:
    """The shared memory of a node with its control's ledger and its workers' shares."""

    def __init__(self, workers=2, capacity=64):
        self.clock = Clock()
        self.buffer = memoryview(bytearray(size_of(workers, capacity)))
        self.ledger = Ledger(self.buffer, workers, capacity)
        self.workers = workers

    def groups(self, wanted):
        self.ledger.assign([wanted])
        return [Group(wanted, self.clock, Random(worker), Share(self.buffer, worker)) for worker in range(self.workers)]


def test_load_counts_for_all_workers():
    one, two = Node().groups(cluster(2))
    for _ in range(3):
        one.hosts[0].begin()
    assert (two.hosts[0].load, two.hosts[1].load) == (3, 0)
    picks = [two.pick() for _ in range(200)]
    assert picks.count(two.hosts[1]) > picks.count(two.hosts[0])


def test_an_ejection_by_one_worker_holds_for_all_until_it_ends():
    node = Node()
    outlier = Outlier(max_ejection_percent=50, consecutive_5xx=3)
    one, two = node.groups(cluster(2, outlier=outlier))
    assert {two.pick() for _ in range(50)} == set(two.hosts)
    for some in (one, two, one):  # a streak of the node
        some.report(some.hosts[0], 500)
    assert two.hosts[0].ejected
    assert {two.pick() for _ in range(50)} == {two.hosts[1]}
    for _ in range(3):
        two.report(two.hosts[1], 500)  # the maximum is the node's too
    assert not one.hosts[1].ejected
    node.clock.advance(30.0)
    two.sweep(node.clock())
    assert two.hosts[0].ejected  # who ejected it lets it in
    one.sweep(node.clock())
    assert {two.pick() for _ in range(50)} == set(two.hosts)


def test_limits_are_the_nodes():
    one, two = Node().groups(cluster(1, pool=ConnectionPool(max_connections=2)))
    assert one.limits.connections.try_acquire()
    assert two.limits.connections.try_acquire()
    assert not one.limits.connections.try_acquire()
    two.limits.connections.release()
    assert one.limits.connections.try_acquire()


def test_subsets_and_clusters_do_not_mix():
    node = Node()
    first, second = cluster(1), cluster(1, key="ratings")
    node.ledger.assign([first, second])
    share = Share(node.buffer, 0)
    one, other = (Group(some, node.clock, Random(1), share) for some in (first, second))
    one.hosts[0].begin()
    assert other.hosts[0].load == 0


def test_a_worker_that_comes_back_begins_at_zero():
    node = Node()
    one, two = node.groups(cluster(1, outlier=Outlier(max_ejection_percent=100, consecutive_5xx=1)))
    one.hosts[0].begin()
    two.hosts[0].begin()
    one.report(one.hosts[0], 500)
    Share(node.buffer, 0)
    assert two.hosts[0].load == 1
    assert not two.hosts[0].ejected
    node.ledger.forget(1)
    assert two.hosts[0].load == 0


def test_rows_are_reused_once_unwanted_twice_and_idle():
    node = Node(capacity=3)
    busy, _ = node.groups(cluster(2))
    busy.hosts[0].begin()
    fresh = cluster([endpoint(7), endpoint(8)], key="ratings")
    assert node.ledger.assign([fresh]) == 3  # no room yet
    assert node.ledger.assign([fresh]) == 1  # two rows came back, the busy one not
    busy.hosts[0].end()
    assert node.ledger.assign([fresh]) == 0
    group = Group(fresh, node.clock, Random(1), Share(node.buffer, 1))
    assert [host.load for host in group.hosts] == [0, 0]
    assert all(host.row.workers == 2 for host in group.hosts)


def test_a_key_without_a_row_is_counted_alone():
    node = Node(capacity=1)
    one, two = node.groups(cluster(1))
    one.hosts[0].begin()
    assert (one.hosts[0].load, two.hosts[0].load) == (1, 0)


def test_memory_that_is_not_laid_out_is_refused():
    with pytest.raises(ValueError, match="not laid out"):
        Share(memoryview(bytearray(size_of(2, 4))), 0)
    node = Node(workers=2)
    with pytest.raises(ValueError, match="worker 2"):
        Share(node.buffer, 2)


def test_many_keys_find_their_rows():
    node = Node(workers=1, capacity=2000)
    wanted = cluster(1900)
    assert node.ledger.assign([wanted]) == 0
    share = Share(node.buffer, 0)
    rows = {share.host_row("reviews", some.address, some.port).offset for some in wanted.endpoints}
    assert len(rows) == 1900


def test_processes_that_map_one_memfd_count_together():
    wanted = cluster(2)
    fd = os.memfd_create("nodemesh-test-counters")
    try:
        os.ftruncate(fd, size_of(2, 16))
        control = memoryview(mmap.mmap(fd, 0))
        Ledger(control, 2, 16).assign([wanted])
        child = os.fork()
        if not child:
            try:
                group = Group(wanted, Clock(), Random(1), Share(memoryview(mmap.mmap(fd, 0)), 1))
                for _ in range(1000):
                    group.hosts[0].begin()
            finally:
                os._exit(0)
        group = Group(wanted, Clock(), Random(1), Share(memoryview(mmap.mmap(fd, 0)), 0))
        for _ in range(500):
            group.hosts[0].begin()
        os.waitpid(child, 0)
        assert group.hosts[0].load == 1500
    finally:
        os.close(fd)


def test_load_on_the_reserve_counts_for_all_workers_too():
    one, two = Node().groups(cluster(1, reserve=(endpoint(1),)))
    one.by_address["10.0.0.1", 8080].begin()
    assert two.by_address["10.0.0.1", 8080].load == 1
