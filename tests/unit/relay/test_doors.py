import asyncio

from nodemesh.relay import doors as module
from nodemesh.relay.doors import Doors


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def asked(port):
    """A connection that was answered, or None where it was not let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"x")
        if await reader.read(1) == b"x":
            return writer
    except ConnectionError:
        pass
    writer.close()
    return None


def test_an_address_has_so_many_connections_and_others_when_some_end(monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS", 3)

    async def run():
        doors = Doors(Echo)
        server = await asyncio.get_running_loop().create_server(doors, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        inside = [await asked(port) for _ in range(3)]
        assert all(inside) and await asked(port) is None and doors.open == {"127.0.0.1": 3}
        for writer in inside:
            writer.close()
        async with asyncio.timeout(10):
            while doors.open:
                await asyncio.sleep(0.01)
        last = await asked(port)
        assert last is not None
        last.close()
        server.close()

    asyncio.run(run())
