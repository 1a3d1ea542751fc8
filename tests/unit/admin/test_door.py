import asyncio
import contextlib
import socket

from aiohttp import web

from nodemesh.admin import door as module
from nodemesh.admin.door import AdminDoor


@contextlib.asynccontextmanager
async def served(handler):
    listener = socket.create_server(("127.0.0.1", 0))
    door = AdminDoor()
    application = web.Application(middlewares=[door.asking])
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    assert runner.server is not None
    task = asyncio.create_task(door.run(listener, runner.server))
    yield listener.getsockname()
    task.cancel()
    await asyncio.wait([task])
    assert listener.fileno() == -1
    await runner.cleanup()


async def ask(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    line = await reader.readline()
    return line, reader, writer


def test_who_asks_nothing_makes_room_and_who_waits_for_an_answer_stays(monkeypatch):
    monkeypatch.setattr(module, "MOST", 5)

    async def scenario():
        let, begun = asyncio.Event(), asyncio.Event()

        async def handler(request):
            begun.set()
            await let.wait()
            return web.Response()

        async with served(handler) as address:
            slow = asyncio.create_task(ask(address))
            await begun.wait()
            idle = [await asyncio.open_connection(*address) for _ in range(30)]
            closed = 0
            for reader, _ in idle[:26]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read(1) == b""
                closed += 1
            assert closed == 26
            let.set()
            line, _, writer = await slow
            assert line.startswith(b"HTTP/1.1 200"), "it is the oldest, and its request is under way"
            assert (await ask(address))[0].startswith(b"HTTP/1.1 200")
            for _, each in [*idle, (None, writer)]:
                each.close()

    asyncio.run(asyncio.wait_for(scenario(), 30))
