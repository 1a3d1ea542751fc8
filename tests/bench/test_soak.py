"""The soak suite's clients notice what is wrong, and take what may happen."""

import asyncio
import time

import pytest
from tests.bench.soak_load import Client, read_answer
from tests.bench.soak_mesh import KINDS, content, objects


def answer(token: str, body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\nx-token: %s\r\ncontent-length: %d\r\n\r\n" % (status, token.encode(), len(body)) + body


def right(method: str, token: str, size: int) -> bytes:
    return answer(token, content(token, size)) if method == "GET" else answer(token, b"", 418)


def swapped(method: str, token: str, size: int) -> bytes:
    return answer(token, content(token + "y", size + 1))


def cut(method: str, token: str, size: int) -> bytes:
    return answer(token, content(token, size + 2))[:-1]


def load(kind: str, reply) -> Client:
    """One client, for a moment, against a proxy that answers with `reply`; uploads are refused where they may be."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        _, _, token, size = target.split("/")
        writer.write(reply(method, token, int(size)))
        await writer.drain()
        writer.close()

    async def run() -> Client:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            client = Client(server.sockets[0].getsockname()[1], 1, time.monotonic())
            client.random.random = lambda: 0.5  # neither an upload nor a client that leaves
            for _ in range(4):
                await client.ask(kind)
                client.close()
            return client

    return asyncio.run(run())


def test_right_answers_are_right():
    client = load("faulty", right)
    assert client.wrong == [] and client.met["faulty: 200"] == 4


@pytest.mark.parametrize("kind", KINDS)
def test_anothers_bytes_are_always_wrong(kind):
    assert len(load(kind, swapped).wrong) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_may_break_off_only_where_pods_do_that(kind):
    client = load(kind, cut)
    assert client.met[f"{kind}: broken"] == 4
    assert bool(client.wrong) is not KINDS[kind].breaks


def test_statuses_are_taken_where_they_belong():
    assert load("faulty", lambda method, token, size: answer(token, b"", 418)).wrong == []
    assert load("steady", lambda method, token, size: answer(token, b"", 503)).wrong


def test_a_half_answer_is_none():
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(answer("a", b"xy")[:-1])
        reader.feed_eof()
        await read_answer(reader)

    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read())


def test_the_mesh_is_good():
    from nodemesh.config.load import load_object

    assert [
        problem for item in objects(80, 1) for problem in load_object(item, "soak").problems if problem.refused
    ] == []
