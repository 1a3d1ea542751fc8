"""Heads as blocks: hpack reads what we write, the first time and later, and nothing remembered outlives its indices."""

from __future__ import annotations

from random import Random

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple

from nodemesh.proxy.http.head import RequestFields, RequestHead
from nodemesh.proxy.http.lines import KNOWN_LENGTH
from nodemesh.proxy.http2.encoder import REMEMBERED_VALUES
from nodemesh.proxy.http2.heads import request_opening
from nodemesh.proxy.http2.writer import LINES, LONGEST_OPENING, OPENINGS, Opening, Writer

PAIRS = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x-kept", b"some value")]
NAMES = frozenset({b"content-type", b"x-kept"})


class Peer:
    """Who reads what a writer writes."""

    def __init__(self) -> None:
        self.writer, self.decoder = Writer(), Decoder()

    def head(self, opening: Opening, **edits: bytes) -> list[tuple[bytes, bytes]]:
        said = {name.replace("_", "-").encode(): line for name, line in edits.items()}
        return self.read(self.writer.head(opening, said))

    def read(self, block: bytes) -> list[tuple[bytes, bytes]]:
        return [tuple(field) for field in self.decoder.decode(block, raw=True)]


@pytest.fixture
def peer() -> Peer:
    return Peer()


def known(pairs=PAIRS, names=NAMES, never=()) -> Opening:
    return Opening(None, pairs, names, never)


def test_an_opening_is_written_again_as_long_as_its_indices_mean_the_same(peer):
    first, second = known(), known([*PAIRS, (b"x-other", b"another value")])
    for number in range(12):
        assert peer.head(first) == first.pairs and peer.head(second) == second.pairs
        if number % 3 == 2:  # a new entry makes all indices others
            line = b"x-new: value %d" % (number // 6)
            assert peer.head(first, x_new=line)[-1] == (b"x-new", line[7:])
    assert len(peer.writer.head(first, {})) == 3


def test_a_new_entry_between_lines_makes_all_indices_behind_it_others(peer):
    opening, rng = known(), Random(1)
    for number in range(400):
        lines = {
            f"x_{name}": b"x-%c: value %d" % (name.encode(), rng.randrange(3) + number // 100) for name in "abcdef"
        }
        lines["x_request_id"] = b"x-request-id: %d" % number
        assert peer.head(opening, **lines)[3:] == [
            (line[: line.index(b":")], line[line.index(b":") + 2 :]) for line in lines.values()
        ]


def test_of_a_field_with_another_value_in_each_message_the_last_one_is_remembered(peer):
    opening = known()
    for number in range(3 * REMEMBERED_VALUES):
        for _ in range(2):
            assert peer.head(opening, date=b"date: %d" % number)[-1] == (b"date", b"%d" % number)
    assert not peer.writer._lines or b"date: %d" % number not in peer.writer._lines


def test_what_the_proxy_says_stands_in_place_of_what_came(peer):
    opening = known([*PAIRS, (b"content-length", b"5")])
    for _ in range(3):
        found = peer.head(opening, x_kept=b"x-kept: mine", content_type=b"", x_two=b"x-two: a\r\nx-two:b ")
        assert found == [PAIRS[0], (b"content-length", b"5"), (b"x-kept", b"mine"), (b"x-two", b"a"), (b"x-two", b"b")]
        assert peer.head(opening) == opening.pairs


def test_no_field_of_a_connection_is_said(peer):
    """Nor a length, which is the codec's own."""
    said = dict.fromkeys(("connection", "transfer_encoding", "upgrade", "te", "host", "content_length"), b"x: 1")
    assert peer.head(known(), **said, date=b"date: today") == [*PAIRS, (b"date", b"today")]


def test_what_nobody_may_index_is_passed_on_as_such(peer):
    """RFC 7541 section 6.2.3."""
    opening = known([*PAIRS, (b"x-token", b"secret")], never=(b"x-token",))
    for _ in range(4):
        fields = peer.decoder.decode(peer.writer.head(opening, {}), raw=True)
        assert [isinstance(field, NeverIndexedHeaderTuple) for field in fields] == [False, False, False, True]


def test_another_size_of_the_table_is_told_before_anything_else(peer):
    """With a head, and with trailers; what was remembered has it not."""
    for _ in range(3):
        assert peer.head(known()) == PAIRS
    opening = known()
    for size in (0, 4096, 64):
        peer.writer.resize(size)
        peer.decoder.max_allowed_table_size = size
        assert peer.head(opening) == PAIRS and peer.decoder.header_table_size == size
        peer.writer.resize(size + 1)
        peer.decoder.max_allowed_table_size = size + 1
        assert peer.read(peer.writer.trailers([b"grpc-status: 0"])) == [(b"grpc-status", b"0")]
        for _ in range(3):
            assert peer.head(opening) == PAIRS


def test_trailers_are_written_from_lines(peer):
    lines = [b"Grpc-Status:  0", b"grpc-message: ", b"grpc-status-details-bin: %064d" % 7]
    for _ in range(4):
        block = peer.writer.trailers(lines)
        assert peer.read(block) == [
            (b"grpc-status", b"0"),
            (b"grpc-message", b""),
            (b"grpc-status-details-bin", b"%064d" % 7),
        ]
    assert len(block) == 3 and peer.writer.trailers([]) == b""


def test_what_is_remembered_is_bounded():
    """In openings, their bytes, and lines; what comes once takes no place."""
    writer = Writer()
    for number in range(3 * OPENINGS):
        once, again = known([*PAIRS, (b"x", b"%d" % number)]), known([*PAIRS, (b"y", b"%d" % number)])
        large = known([*PAIRS, (b"z", b"%d" % number * LONGEST_OPENING)])
        for opening in (once, again, again, again, large, large, large):
            writer.head(opening, {})
        assert once not in writer._openings and large not in writer._openings
        assert len(writer._openings) <= OPENINGS
    for number in range(2 * LINES):
        name = b"x-%d" % (number // 9)  # of which few values are remembered
        for _ in range(3):
            writer.head(again, {name: name + b": %d" % number, b"x-b": b"x-b: %0999d" % number})
    assert 0 < len(writer._lines) <= LINES and max(map(len, writer._lines)) < 999


def test_fields_that_many_share_keep_no_long_path():
    """A thousand heads of HTTP/1.1 are remembered, for all pods."""
    fields = RequestFields([b"x-a: 1"], frozenset({b"x-a"}), {b"x-a": b"1"})
    head = RequestHead(b"GET", b"http", b"a", b"/", b"", fields)
    kept = request_opening(head, b"/short", b"a")
    assert fields.opening is kept is request_opening(head, b"/short", b"a")
    long = request_opening(head, b"/" + b"x" * KNOWN_LENGTH, b"a")
    assert long is not kept and dict(long.pairs)[b":path"] == b"/" + b"x" * KNOWN_LENGTH and fields.opening is kept
    assert dict(request_opening(head, b"/short", b"b").pairs)[b":authority"] == b"b"
