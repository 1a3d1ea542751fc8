"""Messages of HTTP/1.1 in a conversation, and a client that asks."""

from __future__ import annotations

from nodemesh.sim.pipe import Peer
from nodemesh.sim.world import World

GET = b"GET /a?b=c HTTP/1.1\r\nHost: reviews\r\n\r\n"
#: How the answer to a request begins whose upstream has failed.
RESET = b"upstream connect error or disconnect/reset before headers. "
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


def ask(world: World, data: bytes = GET, port: int = 80) -> Peer:
    client = world.connect("10.96.0.10", port)
    client.send(data)
    world.run()
    return client


def split(message: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = message.partition(b"\r\n\r\n")
    start, *lines = head.split(b"\r\n")
    return start, {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}, body
