"""A connection inside an HTTP request, byte by byte: what is asked, what stands, what is framed."""

import pytest

from nodemesh.proxy.gate import Account, Gate
from nodemesh.proxy.layered import Lower
from nodemesh.proxy.tcp.tunnel import MAX_HEAD, TunnelTransport
from nodemesh.proxy.transport import Handler
from nodemesh.routing.decision import Tunnel
from nodemesh.sim.pipe import Events, MemoryTransport

OK = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Heard(Handler):
    def __init__(self):
        self.log = []
        self.data = b""
        self.drains = 0
        self.times = 0

    def connected(self):
        self.log.append("connected")

    def received(self, data):
        self.times += 1
        self.data += bytes(data)

    def ended(self):
        self.log.append("ended")

    def drained(self):
        self.drains += 1

    def lost(self, error):
        self.log.append(str(error))


class Tunnelled:
    def __init__(self, post=False):
        self.events = Events()
        self.heard = Heard()
        self.transport = TunnelTransport(self.heard, Tunnel(target=b"db.example:5432", post=post))
        lower = MemoryTransport(self.events, Lower(self.transport), Gate({}, Account()), False)
        self.transport.attach(lower)
        self.lower, self.proxy = lower, lower.far_end

    def run(self):
        while self.events:
            self.events.popleft()()

    def open(self, answer=b"", size=1 << 20):
        self.lower.establish()
        asked = self.proxy.take()
        for at in range(0, len(answer), size):
            self.proxy.send(answer[at : at + size])
            self.run()
        return asked


def test_connect_asks_and_then_passes_bytes():
    tunnel = Tunnelled()
    tunnel.transport.send(b"early")
    asked = tunnel.open()
    assert asked == b"CONNECT db.example:5432 HTTP/1.1\r\nhost: db.example:5432\r\n\r\n"
    assert not tunnel.transport.established and tunnel.transport.pending == 5
    tunnel.proxy.send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"first")
    tunnel.run()
    assert tunnel.heard.log == ["connected"] and tunnel.heard.data == b"first"
    tunnel.transport.send(b"late")
    assert tunnel.proxy.take() == b"earlylate" and tunnel.transport.pending == 0
    tunnel.transport.end()
    assert tunnel.proxy.ended
    tunnel.proxy.end()
    tunnel.run()
    assert tunnel.heard.log == ["connected", "ended"]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_post_frames_both_ways(size):
    tunnel = Tunnelled(post=True)
    tunnel.transport.send(b"hi")
    asked = tunnel.open(CHUNKED + b"3;a=b\r\nabc\r\n02\r\nde\r\n0\r\n\r\n", size)
    assert asked.startswith(b"POST / HTTP/1.1\r\nhost: db.example:5432\r\ntransfer-encoding: chunked\r\n\r\n")
    assert tunnel.heard.data == b"abcde" and tunnel.heard.log == ["connected", "ended"]
    tunnel.transport.end()
    assert tunnel.proxy.take() == b"2\r\nhi\r\n0\r\n\r\n" and not tunnel.proxy.ended


def test_chunks_of_a_byte_each_are_handed_on_at_once():
    """The proxy on the way is somebody else's: each piece on its own would be a system call."""
    tunnel = Tunnelled(post=True)
    tunnel.open(CHUNKED)
    tunnel.proxy.send(b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
    tunnel.run()
    assert tunnel.heard.data == b"x" * 5000 and tunnel.heard.log == ["connected", "ended"]
    assert tunnel.heard.times <= 2


@pytest.mark.parametrize(
    "answer, word",
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "with 403"),
        (b"SSH-2.0-x\r\n", "with 0"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "with 0"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_HEAD, "too long"),
    ],
)
def test_what_is_no_tunnel_is_a_connection_that_was_not_made(answer, word):
    tunnel = Tunnelled()
    tunnel.open(answer)
    assert word in tunnel.heard.log[0] and len(tunnel.heard.log) == 1
    assert not tunnel.transport.established and tunnel.proxy.ended


@pytest.mark.parametrize("chunk", [b"x\r\n", b"-1\r\n", b"fffffffff\r\n", b"1" * 2000, b"\r\n"])
def test_chunks_that_are_none_end_the_connection(chunk):
    tunnel = Tunnelled(post=True)
    tunnel.open(CHUNKED + chunk)
    assert "a chunk's size" in tunnel.heard.log[1]


def test_an_end_before_the_answer_is_a_failure():
    tunnel = Tunnelled()
    tunnel.open(b"HTTP/1.1 2")
    tunnel.proxy.end()
    tunnel.run()
    assert "closed the connection without a tunnel" in tunnel.heard.log[0]


def test_what_the_handler_asks_early_is_done_once_the_tunnel_is_there():
    tunnel = Tunnelled()
    tunnel.transport.send(b"only word")
    tunnel.transport.pause()
    tunnel.transport.end()
    tunnel.transport.send(b"after its end")
    tunnel.open(OK)
    assert tunnel.proxy.take() == b"only word" and tunnel.proxy.ended
    tunnel.proxy.send(b"answer")
    tunnel.run()
    assert tunnel.heard.log == ["connected"] and tunnel.heard.drains == 1 and not tunnel.heard.data
    tunnel.transport.resume()
    tunnel.run()
    assert tunnel.heard.data == b"answer"


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_whoever_has_left_hears_no_more(leave):
    tunnel = Tunnelled()
    tunnel.open(OK)
    tunnel.proxy.send(b"unheard")
    getattr(tunnel.transport, leave)()
    tunnel.run()
    assert tunnel.lower.closed and tunnel.heard.log == ["connected"] and tunnel.heard.data == b""
    assert tunnel.proxy.reset_seen == (leave == "abort")


def test_a_closed_connection_is_not_reset_afterwards():
    tunnel = Tunnelled()
    tunnel.open(OK)
    tunnel.transport.send(b"last words")
    tunnel.transport.close()
    tunnel.transport.abort()
    assert tunnel.proxy.take() == b"last words" and not tunnel.proxy.reset_seen


def test_a_tunnel_is_stale_with_the_connection_below_it():
    tunnel = Tunnelled()
    tunnel.open(OK)
    assert not tunnel.transport.stale
    tunnel.proxy.end()
    assert tunnel.transport.stale
