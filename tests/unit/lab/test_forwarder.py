"""The forwarder over loopback: spreading, refusing, half-close, resets, tables replaced."""

import asyncio
import json
import socket

import pytest

from nodemesh.lab.forwarder import Forwarder, ForwardRule


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def start_server(name):
    """Answers with its name and what it was sent, once the client has closed its half."""

    async def serve(reader, writer):
        writer.write(name + await reader.read())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[:2]


async def ask(port, text=b"hello"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def test_connections_are_spread_and_half_close_passes():
    async def story():
        servers = [await start_server(name) for name in (b"a:", b"b:")]
        port, forwarder = free_port(), Forwarder()
        await forwarder.apply([ForwardRule("127.0.0.1", port, tuple(address for _, address in servers))])
        assert sorted([await ask(port) for _ in range(4)]) == [b"a:hello", b"a:hello", b"b:hello", b"b:hello"]
        big = b"x" * (1 << 20)
        assert await ask(port, big) in (b"a:" + big, b"b:" + big)

    asyncio.run(story())


def test_a_new_table_replaces_the_old_one():
    async def story():
        (_, first), (_, second) = await start_server(b"a:"), await start_server(b"b:")
        port, forwarder = free_port(), Forwarder()
        await forwarder.apply([ForwardRule("127.0.0.1", port, (first,))])
        await forwarder.apply([ForwardRule("127.0.0.1", port, (second,))])
        assert await ask(port) == b"b:hello"
        await forwarder.apply([ForwardRule("127.0.0.1", port, ())])
        with pytest.raises(ConnectionRefusedError):
            await ask(port)

    asyncio.run(story())


def test_a_dead_endpoint_resets():
    async def story():
        port, forwarder = free_port(), Forwarder()
        await forwarder.apply([ForwardRule("127.0.0.1", port, (("127.0.0.1", free_port()),))])
        with pytest.raises(ConnectionResetError):
            await ask(port)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ([["127.0.0.1", 1, []]], "ok"),
        ("nonsense", "not enough"),
        ([["192.0.2.99", 1, [["192.0.2.1", 1]]]], "192.0.2.99"),
    ],
)
def test_the_control_socket_says_how_it_went(tmp_path, sent, said):
    async def story():
        path = str(tmp_path / "control")
        async with await asyncio.start_unix_server(Forwarder().control, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(json.dumps(sent).encode() + b"\n")
            assert said in (await asyncio.wait_for(reader.read(), 10)).decode()
            writer.close()

    asyncio.run(story())
