"""However a stream is cut, the HTTP/2 codec tells the same; random bytes never break it; python-hyper's `h2` and
`hpack` understand what we write, and we read what they write as they do."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.http2 import client, server
from tests.unit.proxy.http2.peer import (
    REQUEST,
    RESPONSE,
    RESPONSE_HEAD,
    Log,
    Recorder,
    data,
    frame,
    headers,
    ping,
    update,
)
from tests.unit.proxy.http2.peer import settings as settings_frame

from nodemesh.proxy.http.head import NO_EDITS
from nodemesh.proxy.http2.decoder import Decoder
from nodemesh.proxy.http2.encoder import Encoder
from nodemesh.proxy.http2.fault import ConnectionFault
from nodemesh.proxy.http2.frames import PREFACE
from nodemesh.proxy.http2.limits import Http2Limits

START = PREFACE + settings_frame()
ORDINARY = (
    headers(1, ended=False)
    + data(1, b"hello")
    + ping()
    + headers(3)
    + update(0, 5)
    + headers(1, [(b"x-t", b"1")])
    + frame(0x16, 0, 0, b"x")
)
SERVER_STREAMS = [START + ORDINARY, *(START + case.sent for case in server.CASES if len(case.sent) < 2000)]


class Told(Recorder):
    """Answers nothing, and joins a body's pieces: they may come cut elsewhere."""

    def told(self) -> tuple[object, ...]:
        return (*self.events, self.connection.outgoing())


def told(pieces: list[bytes], opened: int = 0) -> tuple[object, ...]:
    peer = Told(server=not opened)
    for _ in range(opened):
        peer.request(ended=False)
    for piece in pieces:
        peer.connection.receive(piece, 0.0)
    return peer.told()


@pytest.mark.parametrize("stream", SERVER_STREAMS, ids=range(len(SERVER_STREAMS)))
def test_a_cut_anywhere_changes_nothing(stream):
    whole = told([stream])
    for cut in range(1, len(stream)):
        assert told([stream[:cut], stream[cut:]]) == whole
    assert told([stream[index : index + 1] for index in range(len(stream))]) == whole


@pytest.mark.parametrize("case", client.CASES, ids=range(len(client.CASES)))
def test_a_cut_anywhere_changes_nothing_for_a_client(case):
    stream = settings_frame() + case.sent[:2000]
    told([], 2)  # a field that was never written before is written otherwise than one that was
    whole = told([stream], 2)
    for cut in range(1, len(stream)):
        assert told([stream[:cut], stream[cut:]], 2) == whole


FRAME = st.builds(
    frame,
    st.integers(0, 10),
    st.integers(0, 255) | st.sampled_from([0, 1, 4, 5]),
    st.integers(0, 9),
    st.binary(max_size=20) | st.sampled_from([b"\x82\x84\x86\x41\x01a", b"\0\0\0\1", b"12345678"]),
)


@given(st.lists(FRAME | st.binary(max_size=12), max_size=12), st.booleans(), st.data())
@settings(max_examples=400)
def test_random_frames_never_break_a_connection(pieces, as_client, data):
    stream = b"".join(pieces)
    start = settings_frame() if as_client else START
    opened = 2 if as_client else 0
    whole = told([start, stream], opened)
    points = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)) | {0, len(stream)})
    cut = [stream[begin:end] for begin, end in zip(points, points[1:], strict=False)]
    assert told([start, *cut], opened) == whole


@given(st.binary(max_size=200))
@settings(max_examples=400)
def test_hpack_reads_blocks_as_we_do(block):
    """Random blocks: where the oracle reads fields, we read the same, and where it finds a fault, we do."""
    oracle = hpack.Decoder()
    ours = Decoder(Http2Limits())
    try:
        expected = [tuple(field) for field in oracle.decode(block, raw=True)]
    except hpack.HPACKError:
        with pytest.raises(ConnectionFault):
            ours.read(block)
        return
    try:
        found = ours.read(block).fields
    except ConnectionFault as error:
        # it takes integers of any length, and more than two size updates
        assert str(error) in ("HPACK: integer", "HPACK: size update")
        return
    assert [(field.name, field.value.strip(b" \t")) for field in found] == [
        (name, value.strip(b" \t")) for name, value in expected
    ]
    assert [(field.name, field.size) for field in ours.table.entries[::-1]] == [
        (name, len(name) + len(value) + 32) for name, value in oracle.header_table.dynamic_entries
    ]


NAME = st.sampled_from([b"x-a", b"x-b", b"content-type", b"cookie", b"grpc-status", b":path", b"date"])
VALUE = st.binary(max_size=30).map(lambda value: value.hex().encode()) | st.sampled_from([b"a", b"b", b"/"])
BLOCKS = st.lists(st.lists(st.tuples(NAME, VALUE), max_size=8), min_size=1, max_size=8)


@given(BLOCKS, st.booleans())
def test_we_read_what_hpack_writes(blocks, huffman):
    oracle = hpack.Encoder()
    ours = Decoder(Http2Limits())
    for number, fields in enumerate(blocks):
        if number == 3:
            oracle.header_table_size = 100
        found = ours.read(oracle.encode(fields, huffman)).fields
        assert [(field.name, field.value) for field in found] == fields


@given(BLOCKS, st.lists(st.integers(0, 5000), min_size=8, max_size=8))
def test_hpack_reads_what_we_write(blocks, sizes):
    ours = Encoder()
    oracle = hpack.Decoder()
    for fields, size in zip(blocks * 3, sizes * 3, strict=False):
        ours.resize(size)
        oracle.max_allowed_table_size = size
        assert [tuple(field) for field in oracle.decode(ours.encode(fields, ()), raw=True)] == fields


class Peer:
    """python-hyper's connection, and what it was told."""

    def __init__(self, client: bool) -> None:
        config = h2.config.H2Configuration(client_side=client, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.heads: dict[int, list[tuple[bytes, bytes]]] = {}
        self.trailers: dict[int, list[tuple[bytes, bytes]]] = {}
        self.ended: set[int] = set()
        self.waiting: dict[int, bytes] = {}

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived | h2.events.ResponseReceived):
                self.heads[event.stream_id] = [tuple(field) for field in event.headers]
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[event.stream_id] = [tuple(field) for field in event.headers]
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset):
                raise AssertionError(event)
        self.pump()

    def send(self, id: int, body: bytes) -> None:
        self.waiting[id] = body
        self.pump()

    def pump(self) -> None:
        for id, body in list(self.waiting.items()):
            room = min(self.connection.local_flow_control_window(id), self.connection.max_outbound_frame_size)
            while body and room > 0:
                self.connection.send_data(id, body[:room])
                body = body[room:]
                room = min(self.connection.local_flow_control_window(id), self.connection.max_outbound_frame_size)
            self.waiting[id] = body
            if not body:
                del self.waiting[id]
                self.connection.end_stream(id)


class Echo(Log):
    """Sends the body back when it is complete, the trailers with it."""

    def __init__(self, recorder) -> None:
        super().__init__(recorder)
        self.body = b""

    def head(self, head, ended):
        super().head(head, ended)
        if ended:
            self.echo()

    def data(self, data, ended):
        taken = super().data(data, ended)
        self.body += data
        if ended:
            self.echo()
        return taken

    def echo(self):
        connection = self.recorder.connection
        assert self.stream is not None
        connection.send_head(self.stream, RESPONSE_HEAD, NO_EDITS, False)
        connection.send_data(self.stream, self.body, False)
        connection.send_trailers(self.stream, [b"grpc-status: 0"])


class EchoServer(Recorder):
    def make(self, stream):
        return Echo(self)


def exchange(ours: Recorder, peer: Peer, cut: int) -> None:
    """Let both say all that they have to say, in pieces."""
    while True:
        there, here = ours.connection.outgoing(), peer.connection.data_to_send()
        ours.connection.flushed()
        if not there and not here:
            return
        for start in range(0, len(there), cut):
            peer.receive(there[start : start + cut])
        for start in range(0, len(here), cut):
            ours.connection.receive(here[start : start + cut], 0.0)


SIZES = st.lists(st.integers(0, 200_000), min_size=1, max_size=5)


@given(SIZES, st.integers(100, 70_000), st.integers(1000, 70_000))
@settings(max_examples=25, deadline=None)
def test_h2_as_a_client_is_served(sizes, cut, window):
    ours, peer = EchoServer(limits=Http2Limits(window=window)), Peer(client=True)
    peer.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    exchange(ours, peer, cut)
    bodies = {2 * number + 1: bytes([number]) * size for number, size in enumerate(sizes)}
    for id, body in bodies.items():
        peer.connection.send_headers(id, [*REQUEST, (b"x-n", b"%d" % id)], end_stream=not body)
        if body:
            peer.send(id, body)
    exchange(ours, peer, cut)
    assert {id: peer.bodies.get(id, b"") for id in bodies} == bodies and peer.ended == set(bodies)
    assert peer.heads == dict.fromkeys(bodies, RESPONSE)
    assert peer.trailers == dict.fromkeys(bodies, [(b"grpc-status", b"0")])
    assert not ours.connection.streams and not ours.connection.broken


@given(SIZES, st.integers(100, 70_000), st.integers(1000, 70_000))
@settings(max_examples=25, deadline=None)
def test_h2_as_a_server_is_asked(sizes, cut, window):
    ours, peer = Recorder(server=False, limits=Http2Limits(window=window)), Peer(client=False)
    peer.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    exchange(ours, peer, cut)
    bodies = {}
    for number, size in enumerate(sizes):
        stream = ours.request(ended=not size)
        bodies[stream.id] = bytes([number]) * size
        if size:
            ours.connection.send_data(stream, bodies[stream.id], True)
    exchange(ours, peer, cut)
    assert {id: peer.bodies.get(id, b"") for id in bodies} == bodies and peer.ended == set(bodies)
    for id, body in bodies.items():
        peer.connection.send_headers(id, [(b":status", b"103")])
        peer.connection.send_headers(id, RESPONSE, end_stream=not body)
        if body:
            peer.send(id, body)
    exchange(ours, peer, cut)
    for id, body in bodies.items():
        events = [event[1:] for event in ours.events if event[0] == id]
        assert events[-1] == ("released",) and ("informed", 103) in events
        assert b"".join(event[1] for event in events if event[0] == "data") == body
    assert not ours.connection.streams and not ours.connection.broken


@given(st.integers(0, len(ORDINARY)), st.binary(min_size=1, max_size=3))
@settings(max_examples=300)
def test_a_damaged_stream_is_read_as_h2_reads_it(place, damage):
    """Both may refuse what the other takes, but of a request that both take they see the same."""
    damaged = ORDINARY[:place] + damage + ORDINARY[place + len(damage) :]
    oracle = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    oracle.initiate_connection()
    oracle.receive_data(START)
    seen = {}
    try:
        for start in range(len(damaged)):
            for event in oracle.receive_data(damaged[start : start + 1]):
                if isinstance(event, h2.events.RequestReceived):
                    fields = dict(event.headers)
                    seen[event.stream_id] = [fields.get(name) for name in (b":method", b":path", b":authority")]
    except h2.exceptions.ProtocolError:
        pass
    peer = Told()
    peer.connection.receive(START + damaged, 0.0)
    for id, kind, *rest in peer.events:
        if kind == "head" and id in seen:
            method, _, authority, path, _ = rest[0]
            assert [method, path, authority] == seen[id]


class Keeping(Log):
    """Takes nothing of a body by itself."""


class Keeper(Recorder):
    def __init__(self, server: bool) -> None:
        super().__init__(server, Http2Limits(streams=4, window=20_000, connection_window=70_000))
        self.taking = False
        self.open: list = []  # streams that were ever there

    def make(self, stream):
        self.open.append(stream)
        return Keeping(self)


DEED = st.tuples(
    st.sampled_from(["open", "data", "data", "data", "end", "trailers", "answer", "take", "take", "reset"]),
    st.booleans(),  # by the server
    st.integers(0, 7),  # of which stream
    st.integers(0, 40_000),
)


def do(deed: tuple[str, bool, int, int], ours: Keeper, theirs: Keeper) -> None:
    what, by_server, which, size = deed
    side = theirs if by_server else ours
    connection = side.connection
    if what == "open":
        if ours.connection.capacity:
            ours.open.append(ours.request(ended=False))
        return
    if not side.open:
        return
    stream = side.open[which % len(side.open)]
    if what == "take":
        connection.taken(stream, size)
    elif what == "reset":
        connection.reset(stream, 8)
    elif what == "answer":
        if by_server:
            connection.send_head(stream, RESPONSE_HEAD, NO_EDITS, False)
    elif stream.answered:
        if what == "data":
            connection.send_data(stream, bytes(size), False)
        elif what == "end":
            connection.send_data(stream, b"", True)
        else:
            connection.send_trailers(stream, [b"x-t: 1"])


def pump(ours: Keeper, theirs: Keeper) -> None:
    while True:
        there, here = ours.connection.outgoing(), theirs.connection.outgoing()
        ours.connection.flushed()
        theirs.connection.flushed()
        if not there and not here:
            return
        theirs.connection.receive(there, 0.0)
        ours.connection.receive(here, 0.0)


@given(st.lists(DEED, max_size=60), st.integers(1, 10))
@settings(max_examples=200, deadline=None)
def test_windows_are_kept_whatever_becomes_of_the_streams(deeds, at_once):
    """No byte of a window is lost or made up, by any order of bodies, ends, resets and what is taken when."""
    ours, theirs = Keeper(server=False), Keeper(server=True)
    pump(ours, theirs)
    for start in range(0, len(deeds), at_once):
        for deed in deeds[start : start + at_once]:
            do(deed, ours, theirs)
        pump(ours, theirs)
        for sender, receiver in ((ours.connection, theirs.connection), (theirs.connection, ours.connection)):
            assert not sender.broken and sender.window == receiver.credit >= 0
            held = sum(stream.untaken for stream in (theirs if receiver.server else ours).open)
            assert receiver.credit + receiver.owed + held == 70_000
    for side in (ours, theirs):
        for stream in side.open:
            side.connection.reset(stream, 8)
            side.connection.taken(stream, 1 << 30)
    pump(ours, theirs)
    for connection in (ours.connection, theirs.connection):
        assert not connection.streams and not connection._blocked and connection.credit + connection.owed == 70_000
