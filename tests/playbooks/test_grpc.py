"""gRPC's own: statuses in trailers, deadlines, gRPC-Web."""

import base64
import re

import msgspec
import pytest

from nodemesh.proxy.http1.body import ChunkedReader
from nodemesh.reasons import Reason
from nodemesh.sim.world import World
from nodemesh.telemetry.dump import Dump

from .http1_peer import ask, split
from .http2_peer import CALL, MESSAGE, dial, endpoint
from .mesh import GRPC, SERVICE

EJECTION = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 100,
  minHealthPercent: 0}}}
"""


def test_a_status_in_trailers_counts_for_outlier_detection():
    world = World(GRPC + EJECTION)
    world.serve("10.1.0.1", 9080)
    client = dial(world)
    for number in range(2):
        client.ask(*CALL, method=b"POST", body=MESSAGE)
        if not number:
            upstream = endpoint(world)
        upstream.turn()
        upstream.answer(upstream.requests[-1], body=MESSAGE, trailers=[(b"grpc-status", b"14")])
        client.turn()
    refused = client.ask(*CALL, method=b"POST", body=MESSAGE)
    assert client.head(refused)[b"grpc-status"] == b"14"
    assert Reason.NO_HEALTHY_UPSTREAM in world.records[-1].reasons


def test_a_deadline_of_grpc_is_for_grpc_alone(world):
    world.serve("10.1.0.1", 9080)
    client = dial(world)
    call, plain = client.ask(*CALL, (b"grpc-timeout", b"1S"), method=b"POST"), client.ask((b"grpc-timeout", b"1S"))
    world.advance(1.1)
    client.turn()
    assert client.head(call)[b"grpc-status"] == b"14" and not client.is_over(plain)


@pytest.mark.parametrize("kind", [b"application/grpc-web+proto", b"application/grpc-web-text"])
def test_grpc_web_is_translated_on_a_port_for_it(kind):
    world = World(SERVICE.replace("name: http,", "name: grpc-web,"))
    world.serve("10.1.0.1", 9080)
    text = kind.endswith(b"-text")
    sent = base64.b64encode(MESSAGE) if text else MESSAGE
    client = ask(
        world,
        b"POST /pkg.Service/Call HTTP/1.1\r\nHost: reviews\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
        % (kind, len(sent), sent),
    )
    upstream = endpoint(world)
    upstream.turn()
    head = upstream.head(1)
    assert head[b"content-type"].startswith(b"application/grpc") and b"web" not in head[b"content-type"]
    assert head[b"te"] == b"trailers" and b"content-length" not in head and upstream.body(1) == MESSAGE
    upstream.answer(1, (b"content-type", b"application/grpc"), body=MESSAGE, trailers=[(b"grpc-status", b"0")])
    world.run()
    _, headers, body = split(client.take())
    assert headers[b"content-type"].startswith(b"application/grpc-web")
    reader = ChunkedReader()
    found = bytes(reader.read(body))
    if text:
        found = b"".join(base64.b64decode(piece) for piece in re.findall(rb"[^=]+=*", found))
    assert reader.done and found == MESSAGE + b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n"


@pytest.mark.parametrize("pieces", [(b"", b"!"), (b"!", b"")], ids=["later", "with the head"])
def test_a_grpc_web_text_that_is_no_base64_is_an_internal_error(pieces):
    """gRPC's status for a 400 (the gRPC protocol, "HTTP to gRPC Status Code Mapping")."""
    world = World(SERVICE.replace("name: http,", "name: grpc-web,"))
    world.serve("10.1.0.1", 9080)
    first, second = pieces
    head = b"POST /pkg.Service/Call HTTP/1.1\r\nHost: reviews\r\ncontent-type: application/grpc-web-text\r\n"
    client = ask(world, head + b"content-length: 4\r\n\r\n" + first * 4)
    client.send(second * 4)
    world.run()
    _, headers, _ = split(client.take())
    assert headers[b"grpc-status"] == b"13"
    fields = (b"content-type", b"application/grpc-web-text"), (b"content-length", b"4")
    over_http2 = dial(world)
    call = over_http2.ask(*fields, method=b"POST", body=b"!!!!")
    assert over_http2.head(call)[b"grpc-status"] == b"13"
    assert all(record.reasons == (Reason.DOWNSTREAM_PROTOCOL_ERROR,) for record in world.records)
    assert not over_http2.peer.closed


def messages_of(world):
    """What is counted under each pair of ends since the last time: (requests, responses)."""
    dump = msgspec.msgpack.decode(world.telemetry.dump(), type=Dump)
    return [(counts.requests, counts.responses) for counts in dump.messages]


def test_messages_are_counted_both_ways_while_a_call_goes_on():
    """As Istio reports them: every five seconds, and at the end."""
    world = World(GRPC)
    world.serve("10.1.0.1", 9080)
    client = dial(world)
    call = client.ask(*CALL, method=b"POST", body=MESSAGE + MESSAGE[:5], ended=False)
    upstream = endpoint(world)
    upstream.turn()
    world.advance(6.0)
    assert messages_of(world) == [], "before it is answered nobody knows who does"
    upstream.codec.send_headers(1, [(b":status", b"200"), (b"content-type", b"application/grpc")])
    upstream.codec.send_data(1, MESSAGE * 3)
    upstream.turn()
    world.advance(5.0)
    assert messages_of(world) == [(2, 3)]
    client.codec.send_data(call, MESSAGE[5:] + MESSAGE, end_stream=True)
    client.turn()
    upstream.codec.send_data(1, MESSAGE)
    upstream.codec.send_headers(1, [(b"grpc-status", b"0")], end_stream=True)
    upstream.turn()
    assert messages_of(world) == [(1, 1)]
    world.advance(20.0)
    assert messages_of(world) == []


def test_what_is_no_call_has_no_messages():
    world = World(GRPC)
    world.serve("10.1.0.1", 9080)
    client = dial(world)
    client.ask(method=b"POST", body=MESSAGE)
    upstream = endpoint(world)
    upstream.turn()
    upstream.answer(1, body=MESSAGE)
    world.run()
    assert len(world.records) == 1 and messages_of(world) == []
