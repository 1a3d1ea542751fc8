import asyncio
import os
import socket
from collections.abc import Callable, Sequence

import msgspec
import pytest

from nodemesh.node.channel import Channel, listen, memfd, read_memfd
from nodemesh.node.fleet import Fleet
from nodemesh.proxy.messages import (
    Applied,
    Drain,
    FromControl,
    GetStatistics,
    Hello,
    Message,
    Refused,
    SetDns,
    Statistics,
)


class Control:
    """A fleet over a real socket, and what it reported."""

    def __init__(self, path: str, replay: Sequence[tuple[Message, Sequence[int]]] = ()) -> None:
        self.path = path
        self.changes = 0
        self.gone: list[str] = []
        self.listener = listen(path)
        self.fleet = Fleet(self.listener, lambda link: replay, self._changed, self.gone.append)

    def _changed(self) -> None:
        self.changes += 1

    def worker(self, number: int) -> Channel[FromControl]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(self.path)
        sock.setblocking(False)
        channel: Channel[FromControl] = Channel(sock, FromControl)
        channel.send(Hello(worker=number, pid=1000 + number))
        return channel


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "control.sock")


def test_a_worker_is_told_everything_when_it_says_hello(path):
    async def scenario() -> None:
        fd = memfd("body", b"tables")
        control = Control(path, [(SetDns(addresses={"a": ("1.2.3.4",)}, dialled={}), ()), (Drain(grace=1.0), (fd,))])
        worker = control.worker(0)
        await until(lambda: len(list(control.fleet)) == 1)
        assert worker.receive() == (SetDns(addresses={"a": ("1.2.3.4",)}, dialled={}), [])
        message, fds = worker.receive()
        assert message == Drain(grace=1.0)
        assert read_memfd(fds[0]) == b"tables"
        os.close(fd)
        control.fleet.close()

    asyncio.run(scenario())


def test_what_a_worker_applied_or_refused_is_known(path):
    async def scenario() -> None:
        control = Control(path)
        worker = control.worker(3)
        worker.send(Applied(version=7))
        await until(lambda: [link.applied for link in control.fleet] == [7])
        worker.send(Refused(version=8, error="no such base"))
        await until(lambda: any(link.refused for link in control.fleet))
        (link,) = control.fleet
        assert (link.number, link.applied, link.refused) == (3, 7, Refused(version=8, error="no such base"))
        worker.close()
        await until(lambda: not list(control.fleet))
        assert control.gone == ["3/1003"]
        control.fleet.close()

    asyncio.run(scenario())


def test_statistics_come_from_those_that_answer(path, monkeypatch):
    monkeypatch.setattr("nodemesh.node.fleet.ANSWER_TIMEOUT", 0.2)

    async def scenario() -> None:
        control = Control(path)
        answering, silent = control.worker(0), control.worker(1)
        await until(lambda: len(list(control.fleet)) == 2)
        question = asyncio.ensure_future(control.fleet.statistics(lambda key: 7, lambda _key: 0))
        message: Message | None = None
        while message is None:
            await asyncio.sleep(0.005)
            try:
                message, _ = answering.receive()
            except BlockingIOError:
                continue
        assert isinstance(message, GetStatistics) and message.kept == 7
        fd = memfd("statistics", b"numbers")
        answering.send(Statistics(id=message.id), (fd,))
        os.close(fd)
        assert await question == {"0/1000": b"numbers"}
        silent.close()
        control.fleet.close()

    asyncio.run(scenario())


def test_a_worker_of_another_version_gets_nothing(path):
    async def scenario() -> None:
        control = Control(path, [(Drain(grace=1.0), ())])
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(path)
        sock.send(msgspec.msgpack.encode(Hello(worker=0, pid=5, protocol=999)))
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        assert await asyncio.wait_for(loop.sock_recv(sock, 100), 5) == b""
        assert not list(control.fleet)
        sock.close()
        control.fleet.close()

    asyncio.run(scenario())


def test_messages_that_the_socket_does_not_take_now_arrive_later_in_order(path):
    async def scenario() -> None:
        control = Control(path)
        worker = control.worker(0)
        await until(lambda: len(list(control.fleet)) == 1)
        for number in range(2000):
            control.fleet.tell(SetDns(addresses={str(number): ("x" * 1000,)}, dialled={}))
        got: list[str] = []
        async with asyncio.timeout(10):
            while len(got) < 2000:
                try:
                    message, _ = worker.receive()
                except BlockingIOError:
                    await asyncio.sleep(0)
                    continue
                assert isinstance(message, SetDns)
                got += message.addresses
        assert got == [str(number) for number in range(2000)]
        control.fleet.close()

    asyncio.run(scenario())
