"""Conversations at ports without a protocol: what the first bytes tell, whoever speaks first, and if nobody does."""

import msgspec
import pytest

from nodemesh.reasons import Reason
from nodemesh.telemetry.telemetry import Dump

from .http1_peer import GET, OK, ask
from .mesh import HTTP10, SERVICE


def test_a_server_that_speaks_first_is_heard(world):
    server = world.serve("10.1.0.1", 9082)
    client = world.connect("10.96.0.10", 82)
    world.advance(0.02)
    upstream = server.accept()
    upstream.send(b"220 mail")
    world.run()
    assert client.take() == b"220 mail"
    client.send(b"GET ")  # not HTTP: the server has spoken before
    world.run()
    assert upstream.take() == b"GET "


def test_a_client_that_speaks_late_is_still_understood(world):
    server = world.serve("10.1.0.1", 9082)
    client = world.connect("10.96.0.10", 82)
    world.advance(5.0)
    in_vain = server.accept()
    client.send(GET)
    world.run()
    assert in_vain.closed
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")


def test_http_by_its_first_bytes_however_they_come(world):
    server = world.serve("10.1.0.1", 9082)
    client = ask(world, GET[:2], 82)
    client.send(GET[2:])
    world.run()
    assert server.accept().take().startswith(b"GET /a")


OLD = b"GET /a HTTP/1.0\r\nHost: reviews\r\n\r\n"


def test_where_no_protocol_is_declared_http_1_0_is_the_servers_to_answer(world):
    server = world.serve("10.1.0.1", 9082)
    for pieces in (
        [OLD],
        [OLD[:3], OLD[3:20], OLD[20:]],
        [OLD[:14], b"0\n\n"],
        [b"GET key\r\n"],
        [b"PUT / HTTP/2.0\r\n"],
    ):
        client = ask(world, pieces[0], 82)
        for piece in pieces[1:]:
            client.send(piece)
            world.run()
        upstream = server.accept()
        assert upstream.take() == b"".join(pieces)
        upstream.send(b"HTTP/1.0 200 OK\r\n\r\nx")
        upstream.end()
        world.run()
        assert client.take() == b"HTTP/1.0 200 OK\r\n\r\nx" and client.ended
    assert all(record.status == 0 for record in world.records)


def test_where_it_is_accepted_it_is_http_there_too(world):
    server = world.serve("10.1.0.1", 9082)
    world.configure(SERVICE + HTTP10)
    ask(world, OLD, 82)
    assert b"x-request-id" in server.accept().take()


@pytest.mark.parametrize(("data", "is_http"), [(b"GET /a", True), (b"GE", False)])
def test_a_first_line_that_does_not_end_is_decided_on_in_time(world, data, is_http):
    server = world.serve("10.1.0.1", 9082)
    client = ask(world, data, 82)
    world.advance(1.0)
    assert not server.connections
    world.advance(10.0)
    assert bool(server.connections) is not is_http
    client.send(b"x HTTP/1.1\r\nHost: reviews\r\n\r\n")
    world.run()
    assert (b"x-request-id" in server.accept().take()) is is_http


def test_a_first_line_of_any_length_is_bounded(world):
    client = ask(world, b"GET /" + b"a" * 70_000, 82)
    assert client.take().startswith(b"HTTP/1.1 4") and client.ended


def test_other_bytes_are_relayed_at_once(world):
    server = world.serve("10.1.0.1", 9082)
    ask(world, b"\x00\x01\x02", 82)
    assert server.accept().take() == b"\x00\x01\x02"


def test_nobody_there_does_not_end_a_client_that_may_speak_yet(world):
    client = world.connect("10.96.0.10", 82)
    world.advance(5.0)  # the early connection has failed
    assert not client.closed and not world.records
    server = world.serve("10.1.0.1", 9082)
    client.send(GET)
    world.run()
    server.accept().send(OK)
    world.run()
    assert client.take().startswith(b"HTTP/1.1 200")
    assert [record.method for record in world.records] == [b"GET"]


def test_tcp_is_tried_again_when_the_client_speaks(world):
    client = world.connect("10.96.0.10", 82)
    world.advance(5.0)
    server = world.serve("10.1.0.1", 9082)
    client.send(b"\x00\x01")
    world.run()
    assert server.accept().take() == b"\x00\x01"
    client.end()
    server.connections[0].end()
    world.run()
    assert [record.reasons for record in world.records] == [()]
    assert world.proxy.pods[1].budget.connections == 0


def test_a_client_that_stays_silent_with_nobody_there_is_reset_in_the_end(world):
    client = world.connect("10.96.0.10", 82)
    world.advance(11.0)
    assert client.reset_seen and world.records[0].reasons == (Reason.UPSTREAM_CONNECTION_FAILURE,)
    assert world.proxy.pods[1].budget.connections == 0 and world.proxy.idle


def test_a_client_that_leaves_while_nobody_is_there_is_forgotten(world):
    client = world.connect("10.96.0.10", 82)
    world.advance(5.0)
    client.end()
    world.advance(20.0)
    assert client.closed and world.proxy.pods[1].budget.connections == 0 and world.proxy.idle


def test_a_connection_made_in_vain_is_not_counted(world):
    world.serve("10.1.0.1", 9082)
    client = world.connect("10.96.0.10", 82)
    world.advance(5.0)
    client.send(GET)
    world.run()
    assert msgspec.msgpack.decode(world.telemetry.dump(), type=Dump).tcp == []
    target = next(iter(world.proxy.targets.values()))
    assert [host.load for host in target.group.by_address.values()] == [1]  # the request's
