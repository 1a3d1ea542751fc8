"""Writing field sections: hpack reads what we write, fields that come again get short, secrets are never indexed."""

from __future__ import annotations

from hpack import Decoder, NeverIndexedHeaderTuple

from nodemesh.proxy.http2 import encoder as module
from nodemesh.proxy.http2.encoder import INDEXED_VALUES, REMEMBERED, REMEMBERED_VALUES, Encoder, integer


def read(decoder: Decoder, block: bytes) -> list[tuple[bytes, bytes]]:
    return [tuple(field) for field in decoder.decode(block, raw=True)]


def test_integers():
    """RFC 7541 appendix C.1."""
    assert integer(10, 5, 0) == b"\x0a" and integer(1337, 5, 0) == b"\x1f\x9a\x0a" and integer(42, 8, 0) == b"\x2a"
    assert (
        integer(31, 5, 0x20) == b"\x3f\x00"
        and integer(158, 5, 0) == b"\x1f\x7f"
        and integer(159, 5, 0) == b"\x1f\x80\x01"
    )


def test_fields_that_come_again_get_short():
    encoder, decoder = Encoder(), Decoder()
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x-kept", b"some value")]
    sizes = []
    for _ in range(4):
        block = encoder.encode(fields, ())
        assert read(decoder, block) == fields
        sizes.append(len(block))
    assert sizes[0] >= sizes[1] > sizes[2] == sizes[3] == 3


def test_what_changes_with_each_message_is_not_indexed():
    encoder, decoder = Encoder(), Decoder()
    for number in range(500):
        fields = [(b"x-anything", b"%032d" % number), (b"date", b"today"), (b"x-request-id", b"same")]
        assert read(decoder, encoder.encode(fields, ())) == fields
    assert len(decoder.header_table.dynamic_entries) == 0
    assert sum(name == b"x-anything" for name, _ in module.SEEN) <= REMEMBERED_VALUES


def test_a_name_of_many_values_has_few_places_in_the_table():
    """Each new entry changes all indices."""
    module.forget()
    encoder, decoder = Encoder(), Decoder()
    for _ in range(3):
        for number in range(INDEXED_VALUES + 9):
            fields = [(b"x-many", b"%d" % number), (b"x-few", b"value")]
            assert read(decoder, encoder.encode(fields, ())) == fields
    names = [name for name, _ in decoder.header_table.dynamic_entries]
    assert names.count(b"x-many") == INDEXED_VALUES and names.count(b"x-few") == 1
    encoder.resize(0)
    encoder.resize(4096)
    for _ in range(2):  # what has left makes room
        for number in range(INDEXED_VALUES + 9, INDEXED_VALUES + 12):
            block = encoder.encode([(b"x-many", b"%d" % number)], ())
            assert read(decoder, block) == [(b"x-many", b"%d" % number)]
    assert len(encoder.encode([(b"x-many", b"%d" % (INDEXED_VALUES + 9))], ())) == 1


def test_what_was_written_is_written_again_until_the_table_changes():
    encoder, decoder = Encoder(), Decoder()
    kept = [(b"x-first", b"value"), (b":status", b"200"), (b"x-request-id", b"same")]
    for number in range(6):
        for fields in (kept, [*kept, (b"x-later-%d" % (number // 3), b"value")], kept):
            assert read(decoder, encoder.encode(fields, ())) == fields
    encoder.resize(40)
    decoder.max_allowed_table_size = 40
    for _ in range(3):
        assert read(decoder, encoder.encode(kept, ())) == kept


def test_secrets_are_never_indexed():
    encoder = Encoder()
    fields = [(name, b"secret") for name in (b"authorization", b"cookie", b"set-cookie", b"proxy-authorization")]
    for _ in range(3):
        decoder = Decoder()
        found = decoder.decode(encoder.encode([*fields, (b"x-theirs", b"s")], (b"x-theirs",)), raw=True)
        assert [tuple(field) for field in found] == [*fields, (b"x-theirs", b"s")]
        assert all(isinstance(field, NeverIndexedHeaderTuple) for field in found)
    assert not [pair for pair in module.SEEN if pair[1] == b"secret"]


def test_what_was_forgotten_is_remembered_again():
    encoder, decoder = Encoder(), Decoder()
    fields = [(b":status", b"200"), (b"x-kept", b"some other value")]
    for _ in range(3):
        read(decoder, encoder.encode(fields, ()))
    module.forget()
    for _ in range(3):
        block = encoder.encode(fields, ())
        assert read(decoder, block) == fields
    assert len(block) == 2


def test_eviction_is_the_peers():
    encoder, decoder = Encoder(), Decoder()
    fields = [(b"x-%d" % number, b"v" * 100) for number in range(60)]  # 60 * 135 bytes: more than the table has
    for start in (0, 0, 30, 0, 50, 20, 20):
        part = fields[start : start + 25]
        assert read(decoder, encoder.encode(part, ())) == part
    assert decoder.header_table._current_size <= 4096


def test_the_peers_table_size_is_obeyed():
    encoder, decoder = Encoder(), Decoder()
    fields = [(b"x-size", b"value")]
    for _ in range(3):
        read(decoder, encoder.encode(fields, ()))
    encoder.resize(0)
    decoder.max_allowed_table_size = 0
    block = encoder.encode(fields, ())
    assert block.startswith(b"\x20") and read(decoder, block) == fields
    assert read(decoder, encoder.encode(fields, ())) == fields
    encoder.resize(100)
    encoder.resize(4096)
    encoder.resize(200)
    decoder.max_allowed_table_size = 200
    block = encoder.encode(fields, ())
    assert block.startswith(integer(100, 5, 0x20) + integer(200, 5, 0x20)) and read(decoder, block) == fields
    encoder.resize(65536)  # more than we use
    decoder.max_allowed_table_size = 65536
    assert encoder.encode(fields, ()).startswith(integer(4096, 5, 0x20))


def test_a_large_entry_does_not_push_all_others_out():
    encoder, decoder = Encoder(), Decoder()
    for _ in range(3):
        block = encoder.encode([(b"x-large", b"v" * 200)], ())
        read(decoder, block)
    assert len(block) == 1
    encoder, decoder = Encoder(), Decoder()
    encoder.resize(512)
    decoder.max_allowed_table_size = 512
    for _ in range(3):
        block = encoder.encode([(b"x-large", b"v" * 200)], ())
        read(decoder, block)
    assert len(block) > 200


def test_the_memory_of_fields_is_bounded():
    encoder = Encoder()
    for number in range(3 * REMEMBERED):
        encoder.encode([(b"x-name-%d" % number, b"v")], ())
        assert len(module.SEEN) <= REMEMBERED and len(module.NAMES) <= REMEMBERED
    encoder.encode([(b"n" * 300, b"v"), (b"x-long", b"v" * 300)], ())
    assert b"n" * 300 not in module.NAMES and (b"x-long", b"v" * 300) not in module.SEEN


def test_long_strings():
    encoder, decoder = Encoder(), Decoder()
    for size in (126, 127, 128, 255, 256, 300, 20000):
        fields = [(b"n" * min(size, 1000), b"v" * size)]
        assert read(decoder, encoder.encode(fields, ())) == fields
