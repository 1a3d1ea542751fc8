import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.fields import PLAIN, SERVER, Layouts
from nodemesh.proxy.http.lines import (
    CACHE,
    CACHE_SIZE,
    CACHED_VALUES,
    MAX_FIELDS,
    NAMES,
    name_of,
    read_name,
    read_names,
    tokens_of,
    value_of,
)
from nodemesh.routing.fields import OPTIONS


def test_a_line_is_read_once():
    line = b"X-Once:  a value \t"
    assert read_names([line]) == ((b"x-once",), False)
    assert CACHE[line] == b"x-once"
    assert read_names([line]) == ((b"x-once",), True)
    assert value_of(line) == b"a value"


def test_names_of_lines_of_which_some_are_new():
    read_name(b"x-old: 1")
    lines = [b"x-new: 1", b"x-old: 1", b"Cookie: secret", b"x-old: 2"]
    assert read_names(lines) == ((b"x-new", b"x-old", b"cookie", b"x-old"), False)


def test_lists_have_lower_case_members():
    for _ in range(2):
        tokens = tokens_of(b"Connection: Keep-Alive, X-Hop")
        assert tokens == (b"keep-alive", b"x-hop")
    assert not OPTIONS.issuperset(tokens)


@pytest.mark.parametrize("line", [b"authorization: Basic c2VjcmV0", b"cookie: session=1", b"x-long: " + b"x" * 512])
def test_secrets_and_long_lines_are_not_kept(line):
    read_name(line)
    assert line not in CACHE


def test_a_field_that_is_never_the_same_gets_no_more_than_its_places():
    CACHE.clear()
    NAMES.clear()
    read_name(b"x-often: 1")
    for number in range(CACHE_SIZE - 1):
        assert read_name(b"x-varied: %d" % number) == b"x-varied"
    assert sum(line.startswith(b"x-varied") for line in CACHE) == CACHED_VALUES
    assert b"x-often: 1" in CACHE
    read_name(b"x-varied: last")
    assert not CACHE and not NAMES


def test_the_cache_starts_anew_when_it_is_full():
    for number in range(2 * CACHE_SIZE):
        read_name(b"x-%d: 1" % number)
        assert len(CACHE) < CACHE_SIZE and len(NAMES) < CACHE_SIZE


@pytest.mark.parametrize(
    "line", [b"no colon", b"space : x", b" folded: x", b"x: a\x00b", b"x: a\x7fb", b"x: a\rb", b": x"]
)
def test_malformed_lines_are_refused(line):
    with pytest.raises(ProtocolError):
        read_name(line)


def test_a_name_without_its_colon_is_none():
    """Its bytes but the last one are a name that is known."""
    read_name(b"x-mes: 1")
    with pytest.raises(ProtocolError):
        read_name(b"x-mesh")


def test_name_of_a_line_that_is_not_cached():
    assert name_of(b"X-Never-Seen: x") == b"x-never-seen"


def test_a_layout_tells_what_goes_through_and_what_is_looked_into():
    layouts = Layouts(forwarded=frozenset({PLAIN}), meant=frozenset({SERVER}))
    layout = layouts.of((b"x", b"server", b"keep-alive", b"x", b"y"))
    assert layout.kept == [True, False, False, True, True]
    assert layout.meant == [False, True, False, False, False]
    assert layout.names == {b"x", b"y"} and layout.kinds == [SERVER]
    assert layouts.of((b"x", b"server", b"keep-alive", b"x", b"y")) is layout
    assert layouts.of((b"server", b"x")).kept == [False, True]


def test_a_list_has_so_many_members():
    line = b"connection: " + b",".join(b"x" for _ in range(MAX_FIELDS))
    assert len(tokens_of(line)) == MAX_FIELDS
    with pytest.raises(ProtocolError) as caught:
        tokens_of(line + b",x")
    assert caught.value.status == 431
