"""Reading field sections: the forms of RFC 7541, its errors, and limits that keep the table in step."""

from __future__ import annotations

import pytest
from hpack import Encoder
from tests.unit.proxy.http2.peer import literal

from nodemesh.proxy.http2.codes import COMPRESSION_ERROR, ENHANCE_YOUR_CALM
from nodemesh.proxy.http2.decoder import LITERALS, Decoder
from nodemesh.proxy.http2.fault import ConnectionFault
from nodemesh.proxy.http2.field import Field
from nodemesh.proxy.http2.limits import Http2Limits
from nodemesh.reasons import Reason


class Reader:
    """A decoder, and what it found last."""

    def __init__(self, limits: Http2Limits) -> None:
        self.decoder = Decoder(limits)
        self.announce, self.table = self.decoder.announce, self.decoder.table

    def decode(self, block: bytes) -> list[Field]:
        self.section = self.decoder.read(block)
        return self.section.fields

    @property
    def excess(self) -> Reason | None:
        return self.section.excess


def decode(decoder: Reader, block: bytes) -> list[tuple[bytes, bytes]]:
    return [field.pair for field in decoder.decode(block)]


def test_the_examples_of_the_rfc_with_huffman():
    """RFC 7541 appendix C.4."""
    decoder = Reader(Http2Limits())
    start = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")]
    assert decode(decoder, bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")) == start
    assert decoder.table.size == 57
    again = decode(decoder, bytes.fromhex("828684be5886a8eb10649cbf"))
    assert again == [*start, (b"cache-control", b"no-cache")]
    last = decode(decoder, bytes.fromhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"))
    assert last[-1] == (b"custom-key", b"custom-value") and last[2] == (b":path", b"/index.html")
    assert decoder.table.size == 164


def test_never_indexed_is_kept_in_mind():
    fields = Reader(Http2Limits()).decode(literal(b"a", b"b", 0x10) + literal(b"a", b"b") + literal(b"a", b"b", 0x40))
    assert [field.never for field in fields] == [True, False, False]


def test_a_name_may_be_of_the_entry_that_its_field_evicts():
    decoder = Reader(Http2Limits())
    decoder.decode(b"\x3f\x09")  # 40 bytes
    decoder.decode(literal(b"nam", b"value", 0x40))
    assert decode(decoder, b"\x7e\x05other\xbe") == [(b"nam", b"other")] * 2


def test_a_block_that_comes_again_is_looked_up_while_the_table_is_the_same():
    decoder = Reader(Http2Limits())
    decoder.decode(literal(b"a", b"1", 0x40))
    first = decoder.decode(b"\xbe" + literal(b"b", b"2"))
    section = decoder.section
    assert decoder.decode(b"\xbe" + literal(b"b", b"2")) is first and decoder.section is section
    assert section.size == 2 * 34
    decoder.decode(literal(b"c", b"3", 0x40))
    assert decode(decoder, b"\xbe" + literal(b"b", b"2")) == [(b"c", b"3"), (b"b", b"2")], "the index means another"
    decoder.decode(b"\x20" + literal(b"d", b"4"))
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe" + literal(b"b", b"2"))


def test_a_block_that_only_adds_to_the_table_is_looked_up_and_adds_again():
    """Servers that have no table of their own write each answer so."""
    decoder = Reader(Http2Limits())
    block = b"\x88" + literal(b"a", b"1", 0x40) + literal(b"b", b"2")
    first = decoder.decode(block)
    decoder.decode(literal(b"c", b"3", 0x40))
    assert decoder.decode(block) is first
    assert decode(decoder, b"\xbe\xbf\xc0") == [(b"a", b"1"), (b"c", b"3"), (b"a", b"1")]


def test_a_literal_is_read_once_whoever_sends_it():
    LITERALS.found.clear()
    for first in (0x00, 0x40):
        one, other = (Reader(Http2Limits()).decode(b"\x82" + literal(b"a", b"1", first)) for _ in range(2))
        assert one[1] is other[1] and one is not other
    assert len(LITERALS.found) == 2


@pytest.mark.parametrize(
    "block",
    [
        literal(b"authorization", b"secret"),
        literal(b"cookie", b"secret"),
        literal(b"a", b"secret", 0x10),
        literal(b"a", b"x" * 256),
        literal(b"nam", b"e", 0x40) + b"\x7e\x05other",  # by a name of this connection's table
    ],
)
def test_literals_that_are_not_remembered(block):
    LITERALS.found.clear()
    one, other = (Reader(Http2Limits()).decode(block) for _ in range(2))
    assert one[-1] is not other[-1] and one[-1].pair == other[-1].pair


def test_remembered_literals_are_bounded():
    LITERALS.found.clear()
    decoder = Reader(Http2Limits())
    for number in range(3 * LITERALS.limit):
        decoder.decode(literal(b"a", b"%d" % number))
        assert len(LITERALS.found) <= LITERALS.limit


def test_a_remembered_literal_keeps_to_the_limits():
    block = literal(b"a", b"1" * 40, 0x40)
    Reader(Http2Limits()).decode(block)
    decoder = Reader(Http2Limits(head=100))
    assert len(decoder.decode(block + block)) == 1 and decoder.excess is Reason.HTTP2_HEAD_TOO_LARGE
    assert decode(decoder, b"\xbf") == [(b"a", b"1" * 40)], "it is in the table"


@pytest.mark.parametrize(
    "block",
    [
        literal(b"a", b"1", 0x40) + b"\xbe",  # adds to the table, and refers to it
        b"\x3f\xe1\x1f" + literal(b"a", b"1"),  # sets its size
        literal(b"authorization", b"secret", 0x10),
        literal(b"a", b"x" * 3000),
    ],
)
def test_blocks_that_do_more_are_read_each_time(block):
    decoder = Reader(Http2Limits())
    first = decoder.decode(block)
    assert decoder.decode(block) is not first


def test_a_size_update_counts_though_its_block_came_before():
    decoder = Reader(Http2Limits())
    large, small = b"\x3f\xe1\x1f\x82", b"\x3f\x81\x01\x82"  # 4096, 160
    for block in (large, small, large, small):
        decoder.decode(block)
    assert decoder.table.limit == 160


def test_no_more_is_remembered_than_a_table_holds():
    decoder = Reader(Http2Limits())
    blocks = [literal(b"a", b"%04d" % number + b"x" * 900) for number in range(1000)]
    for block in blocks:
        decoder.decode(block)
    assert sum(section.size for section in decoder.decoder._known.values()) <= 4096


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\xff\x00",
        b"\x7e\x01a",
        b"\x82\x20",
        b"\x20\x20\x20",
        b"\x3f\xe2\x1f",
        b"\x00\x05abc",
        b"\x00\x01a",
        b"\x40",
        b"\x00\x81\x18\x01a",
        b"\xff",
        b"\xff\x80",
        b"\xff\x80\x80\x80\x80\x01",
        b"\x00\x7f\xff\xff\xff\xff\xff\x0f",
    ],
)
def test_what_breaks_the_table_breaks_the_connection(block):
    with pytest.raises(ConnectionFault) as caught:
        Reader(Http2Limits()).decode(block)
    assert (caught.value.fault.code, caught.value.fault.reason) == (COMPRESSION_ERROR, Reason.HTTP2_COMPRESSION_ERROR)


def test_a_lower_size_of_ours_is_to_be_followed():
    for start, works in ((b"", False), (b"\x3f\x21", True), (b"\x20\x3f\x21", True), (b"\x3f\x22", False)):
        decoder = Reader(Http2Limits())
        decoder.announce(64)
        if works:
            decoder.decode(start + b"\x82")
            decoder.decode(b"\x82")  # once is enough
            assert decoder.table.limit == 64
        else:
            with pytest.raises(ConnectionFault):
                decoder.decode(start + b"\x82")


def test_too_many_fields_are_not_made():
    decoder = Reader(Http2Limits(fields=100))
    assert len(decoder.decode(b"\x82" * 100)) == 100 and decoder.excess is None
    assert len(decoder.decode(b"\x82" * 101)) == 100 and decoder.excess is Reason.HTTP2_TOO_MANY_FIELDS
    decoder.decode(b"\x82")
    assert decoder.excess is None


def test_too_large_a_section_keeps_the_table_in_step():
    """What comes behind the limit still goes into the table, as the peer believes."""
    limits = Http2Limits(head=300)
    decoder = Reader(limits)
    encoder = Encoder()
    fields = [(b"x-%d" % number, b"v" * 20) for number in range(20)]
    found = decoder.decode(encoder.encode(fields))
    assert decoder.excess is Reason.HTTP2_HEAD_TOO_LARGE
    assert sum(field.size for field in found) <= 300 and [field.pair for field in found] == fields[: len(found)]
    assert decode(decoder, encoder.encode(fields[15:])) == fields[15:] and decoder.excess is None


def test_literals_beyond_the_limit_are_passed_over_with_the_others():
    decoder = Reader(Http2Limits(head=100))
    block = literal(b"a", b"v" * 90) + literal(b"b", b"v", 0) + literal(b"c", b"w", 0x40) + literal(b"d", b"v", 0x10)
    assert decoder.decode(block) == [] and decoder.excess is Reason.HTTP2_HEAD_TOO_LARGE
    assert [field.pair for field in decoder.table.entries] == [(b"c", b"w")]


def test_what_is_passed_over_is_not_decoded():
    """Neither bytes nor time go into a value that nobody will see: here one that is no Huffman code."""
    decoder = Reader(Http2Limits(fields=1))
    assert len(decoder.decode(b"\x82\x82" + b"\x00\x01a\x81\x00" + b"\x10\x01a\x84\xff\xff\xff\xff")) == 1
    assert decoder.excess is Reason.HTTP2_TOO_MANY_FIELDS


def test_a_bomb_ends_the_connection():
    """CVE-2016-6581: one large entry, and a byte for each reference to it."""
    decoder = Reader(Http2Limits())
    entry = literal(b"x", b"v" * 4000, 0x40)
    found = decoder.decode(entry + b"\xbe" * 14)
    assert len(found) == 15
    with pytest.raises(ConnectionFault) as caught:
        decoder.decode(b"\xbe" * 65536)
    assert (caught.value.fault.code, caught.value.fault.reason) == (ENHANCE_YOUR_CALM, Reason.HTTP2_HEAD_TOO_LARGE)


def test_small_references_make_no_objects_beyond_the_limit():
    """CVE-2026-49975: empty cookies by reference, one byte each."""
    decoder = Reader(Http2Limits())
    found = decoder.decode(literal(b"cookie", b"", 0x40) + b"\xbe" * 6000)
    assert len(found) == 100 and decoder.excess is Reason.HTTP2_TOO_MANY_FIELDS
    assert len({id(field) for field in found}) == 1
