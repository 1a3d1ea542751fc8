import pytest

from nodemesh.proxy.http1.errors import ProtocolError
from nodemesh.proxy.http1.lines import (
    CACHE,
    CACHE_SIZE,
    CACHED_VALUES,
    CONNECTION,
    NAMES,
    OPTIONS,
    drop,
    name_of,
    read_field,
)


def test_a_line_is_understood_once():
    line = b"X-Once:  a value \t"
    field = read_field(line)
    assert CACHE[line] is field
    assert (field.name, field.value) == (b"x-once", b"a value")


def test_lists_have_lower_case_members():
    field = read_field(b"Connection: Keep-Alive, X-Hop")
    assert field.kind == CONNECTION
    assert field.tokens == (b"keep-alive", b"x-hop")
    assert not OPTIONS.issuperset(field.tokens)


@pytest.mark.parametrize("line", [b"authorization: Basic c2VjcmV0", b"cookie: session=1", b"x-long: " + b"x" * 512])
def test_secrets_and_long_lines_are_not_kept(line):
    read_field(line)
    assert line not in CACHE


def test_a_field_that_is_never_the_same_gets_no_more_than_its_places():
    CACHE.clear()
    NAMES.clear()
    read_field(b"x-often: 1")
    for number in range(CACHE_SIZE - 1):
        assert read_field(b"x-varied: %d" % number).value == b"%d" % number
    assert sum(line.startswith(b"x-varied") for line in CACHE) == CACHED_VALUES
    assert b"x-often: 1" in CACHE
    read_field(b"x-varied: last")
    assert not CACHE and not NAMES


def test_the_cache_starts_anew_when_it_is_full():
    for number in range(2 * CACHE_SIZE):
        read_field(b"x-%d: 1" % number)
        assert len(CACHE) < CACHE_SIZE and len(NAMES) < CACHE_SIZE


@pytest.mark.parametrize("line", [b"no colon", b"space : x", b" folded: x", b"x: a\x00b", b"x: a\rb", b": x"])
def test_malformed_lines_are_refused(line):
    with pytest.raises(ProtocolError):
        read_field(line)


def test_drop_takes_every_line_of_the_field_whatever_its_case():
    lines = [b"X-Mesh: 1", b"x-mesh:2", b"x-mesh-more: 3", b"x-me: x-mesh: 4", b"a:b"]
    drop(lines, b"x-mesh")
    assert lines == [b"x-mesh-more: 3", b"x-me: x-mesh: 4", b"a:b"]
    drop(lines, b"x-m")
    drop(lines, b"a")
    assert lines == [b"x-mesh-more: 3", b"x-me: x-mesh: 4"]


def test_name_of_a_line_that_is_not_cached():
    assert name_of(b"X-Never-Seen: x") == b"x-never-seen"
