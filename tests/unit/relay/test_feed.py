import zlib

import msgspec

from nodemesh.relay import feed as module
from nodemesh.relay.feed import BLOCK, Feed
from nodemesh.relay.wire import chunk


def plain(piece):
    """The lines of a piece; both its forms say the same."""
    size, _, rest = piece.deflated.partition(b"\r\n")
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(rest[: int(size, 16)])
    assert piece.plain == chunk(data)
    return [msgspec.json.decode(line) for line in data.splitlines()]


def put(feed, number, version, text="x"):
    feed.put(("default", str(number)), b'{"n":%d,"t":"%b"}' % (number, text.encode()), version)


def events(feed, count):
    return [plain(change.piece)[0] for change in list(feed.changes)[count - feed.first :]]


def test_who_starts_gets_all_there_is_in_few_pieces():
    feed = Feed()
    for number in range(BLOCK + 1):
        put(feed, number, number + 1)
    found = [plain(piece) for piece in feed.pieces()]
    assert [len(lines) for lines in found] == [BLOCK, 1]
    assert {line["type"] for lines in found for line in lines} == {"ADDED"}
    before = feed.pieces()
    put(feed, 0, 1000, "y")
    after = feed.pieces()
    assert after[1] is before[1], "what did not change is not compressed again"
    assert plain(after[0])[0]["object"]["t"] == "y"
    for number in range(BLOCK):
        feed.remove(("default", str(number)), b"{}", 2000 + number)
    assert [[line["object"]["n"] for line in plain(piece)] for piece in feed.pieces()] == [[BLOCK]]
    assert len(feed) == 1


def test_who_comes_back_goes_on_where_it_was():
    feed = Feed()
    feed.reset({("default", "1"): b"{}"}, 10)
    put(feed, 1, 11)
    put(feed, 2, 14)
    feed.remove(("default", "1"), b'{"last":1}', 15)
    assert [(row["type"], row["object"]) for row in events(feed, feed.since(11))] == [
        ("ADDED", {"n": 2, "t": "x"}),
        ("DELETED", {"last": 1}),
    ]
    assert [row["type"] for row in events(feed, feed.since(10))] == ["MODIFIED", "ADDED", "DELETED"]
    assert feed.since(15) == feed.since(99) == feed.end
    assert feed.since(9) is None


def test_what_is_forgotten_is_gone(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    feed = Feed()
    feed.reset({}, 10)
    for version in range(11, 16):
        put(feed, version, version)
    assert feed.since(12) == feed.first == 3
    assert feed.since(11) is None


def test_who_was_up_to_date_before_all_was_read_anew_starts_anew():
    feed = Feed()
    put(feed, 1, 11)
    at = feed.end
    feed.reset({}, 20)
    assert at < feed.first == feed.end
    assert feed.since(11) is None and feed.since(20) == feed.end
    assert feed.pieces() == []


def test_what_is_not_there_cannot_be_removed():
    feed = Feed()
    feed.remove(("default", "1"), b"{}", 3)
    assert feed.end == 0 and feed.line(("default", "1")) == b""


def test_large_objects_are_few_to_a_piece(monkeypatch):
    """Whoever writes large ones: compressing a piece has all others wait."""
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    feed = Feed()
    for number in range(6):
        put(feed, number, number + 1, "x" * 450)
    assert [len(plain(piece)) for piece in feed.pieces()] == [2, 2, 2]
    for number in range(6):
        put(feed, number, 10 + number, "x" * 5000)
    assert [len(plain(piece)) for piece in feed.pieces()] == [1] * 6
    assert sorted(row["object"]["n"] for piece in feed.pieces() for row in plain(piece)) == list(range(6))
    for number in range(6):
        put(feed, number, 20 + number)
    assert len(feed) == 6


def test_large_changes_are_forgotten_sooner(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_BYTES", 3000)
    feed = Feed()
    feed.reset({}, 10)
    for version in range(11, 31):
        put(feed, version, version, "x" * 900)
    assert 1 <= len(feed.changes) <= 3 and sum(change.size for change in feed.changes) <= 3000
    assert feed.since(29) == feed.end - 1 and feed.since(11) is None
    put(feed, 1, 31, "x" * 9000)
    assert len(feed.changes) == 1, "who follows has the last one in any case"
    feed.reset({}, 40)
    put(feed, 1, 41)
    assert len(feed.changes) == 1
