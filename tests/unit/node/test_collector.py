import asyncio
import socket

import msgspec
import pytest

from nodemesh.node import collector
from nodemesh.node.channel import Channel, listen, memfd
from nodemesh.node.collector import Collector
from nodemesh.node.exporter import Exporter
from nodemesh.node.fleet import Fleet
from nodemesh.node.store import FdStore, Put, StoreClient, ToSupervisor
from nodemesh.proxy.messages import FromControl, GetStatistics, Hello, Statistics
from nodemesh.registry.snapshot import Snapshot
from nodemesh.telemetry.dump import Dump, Numbered


def dump(lost):
    return msgspec.msgpack.encode(Dump(log_lines_lost=lost))


def dumps(*numbered):
    """A worker's answer: pairs of a dump's number and what it counts."""
    return msgspec.msgpack.encode([Numbered(number, msgspec.Raw(dump(lost))) for number, lost in numbered])


class Node:
    """A collector between a real fleet and a real store; `kernel` is what the kernel has counted so far."""

    def __init__(self, path, store):
        self.store = store
        self.supervisor, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        store.give(Channel(self.supervisor, ToSupervisor))
        client = StoreClient(ours)
        client.load()
        self.kernel = b""
        self.path = path
        self.fleet = Fleet(listen(path), lambda link: (), lambda: None, lambda key: self.collector.retire(key))
        self.collector = Collector(self.fleet, client, self._take_kernel, lambda: 900.0, Exporter(Snapshot))

    def _take_kernel(self):
        taken, self.kernel = self.kernel, b""
        return taken

    async def worker(self, number, pid):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(self.path)
        channel = Channel(sock, FromControl)
        channel.send(Hello(worker=number, pid=pid))
        while not any(link.pid == pid for link in self.fleet):
            await asyncio.sleep(0.005)
        return channel

    async def collect(self, answers):
        """One round in which each channel's worker answers with its bytes; tells the sum, and what was said to be
        kept."""
        self.told = []
        asked = asyncio.create_task(self.collector.collect())
        for channel, data in answers.items():
            question, _ = await asyncio.to_thread(channel.receive)
            assert isinstance(question, GetStatistics)
            self.told.append(question.kept)
            channel.send(Statistics(id=question.id), (memfd("numbers", data),))
        await asked
        return self.collector.totals.log_lines_lost

    def keep(self):
        """What the supervisor does with what it is told."""
        self.supervisor.setblocking(False)
        channel = Channel(self.supervisor, ToSupervisor)
        while True:
            try:
                word, fds = channel.receive()
            except BlockingIOError:
                return
            assert isinstance(word, Put)
            self.store.put(word.name, fds[0])


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "control.sock")


def test_numbers_outlive_workers_and_the_process_that_collects_them(path, tmp_path):
    async def scenario():
        store = FdStore()
        node = Node(path, store)
        one, two = await node.worker(0, 1000), await node.worker(1, 1001)
        node.kernel = dump(100)
        assert await node.collect({one: dumps((1, 1)), two: dumps((1, 10))}) == 111
        assert node.told == [0, 0]
        assert await node.collect({one: dumps((2, 1)), two: dumps((1, 10), (2, 0))}) == 112  # none counts twice
        assert node.told == [1, 1]
        one.close()
        while len(list(node.fleet)) == 2:
            await asyncio.sleep(0.005)
        anew = await node.worker(0, 1002)
        assert await node.collect({anew: dumps((1, 1)), two: dumps((3, 0))}) == 113
        assert node.told == [0, 2]
        node.keep()
        node.fleet.close()
        successor = Node(str(tmp_path / "successor.sock"), store)
        assert successor.collector.totals.log_lines_lost == 113
        two = await successor.worker(1, 1001)
        assert await successor.collect({two: dumps((3, 0), (4, 1))}) == 114
        successor.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_worker_of_another_version_spoils_nothing(path):
    async def scenario():
        node = Node(path, FdStore())
        one, two = await node.worker(0, 1000), await node.worker(1, 1001)
        assert await node.collect({one: b"\xc1", two: dumps((1, 10))}) == 10
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_numbers_of_another_version_are_let_go(path):
    async def scenario():
        store = FdStore()
        store.put("totals", memfd("old", msgspec.msgpack.encode([1, 2])))
        node = Node(path, store)
        assert node.collector.totals.log_lines_lost == 0
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_the_store_does_not_take_is_asked_for_again(path):
    async def scenario():
        node = Node(path, FdStore())
        one = await node.worker(0, 1000)
        node.supervisor.close()
        for _ in range(2):
            assert await node.collect({one: dumps((1, 5))}) == 5
            assert node.told == [0]
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_passes_by_its_ports_rules_is_said_once(path, caplog):
    async def scenario():
        node = Node(path, FdStore())
        worker = await node.worker(0, 1000)
        passed = msgspec.msgpack.encode(Dump(bypasses=[("web", 80, "tls", 2)]))
        for number in (1, 2):
            await node.collect({worker: msgspec.msgpack.encode([Numbered(number, msgspec.Raw(passed))])})
        assert node.collector.totals.bypasses.of("web", 80) == {"tls": 4}
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))
    said = [record.getMessage() for record in caplog.records if "HTTP rules" in record.getMessage()]
    assert len(said) == 1 and "service=web" in said[0] and "speaks=tls" in said[0]


def test_the_rest_of_many_series_is_asked_for_at_once(path):
    async def scenario():
        node = Node(path, FdStore())
        worker = await node.worker(0, 1000)
        asked = asyncio.create_task(node.collector.collect())
        for number, more in ((1, True), (2, True), (3, False)):
            question, _ = await asyncio.to_thread(worker.receive)
            assert (question.kept, question.heard) == (0, number - 1)
            part = msgspec.msgpack.encode(Dump(log_lines_lost=1, more=more))
            data = msgspec.msgpack.encode([Numbered(number, msgspec.Raw(part))])
            worker.send(Statistics(id=question.id), (memfd("numbers", data),))
        await asked
        assert node.collector.totals.log_lines_lost == 3
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_went_by_old_rules_is_fetched_and_kept_apart_as_soon_as_others_are_in_force(path, monkeypatch):
    monkeypatch.setattr(collector, "INTERVAL", 3600.0)

    async def scenario():
        node = Node(path, FdStore())
        worker = await node.worker(0, 1000)
        running = asyncio.create_task(node.collector.run())
        node.collector.in_force(set())
        node.collector.in_force({"reviews.default.svc.cluster.local"})
        question, _ = await asyncio.to_thread(worker.receive)
        assert isinstance(question, GetStatistics)
        assert not node.collector.history.renewed_after(0.0), "what the workers have counted until now comes first"
        worker.send(Statistics(id=question.id), (memfd("numbers", dumps((1, 1))),))
        while not node.collector.history.renewed_after(0.0):
            await asyncio.sleep(0.005)
        assert node.collector.totals.log_lines_lost == 1
        running.cancel()
        node.fleet.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))
