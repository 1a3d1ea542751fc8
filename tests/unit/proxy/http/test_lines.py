import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.fields import HOP, PLAIN, SERVER, Layouts
from nodemesh.proxy.http.lines import (
    CACHE,
    CACHE_SIZE,
    CACHED_VALUES,
    MAX_FIELDS,
    NAMES,
    name_of,
    read_line,
    tokens_of,
    value_of,
)
from nodemesh.routing.fields import OPTIONS


def test_a_line_is_read_once():
    line = b"X-Once:  a value \t"
    said = read_line(line)
    assert (said.name, said.value) == (b"x-once", b"a value")
    assert CACHE[line] is said
    assert (name_of(line), value_of(line)) == (b"x-once", b"a value")


def test_another_value_of_the_field_before_has_its_name():
    before = read_line(b"X-Other:1")
    said = read_line(b"X-Other: 2 ", before)
    assert (said.name, said.value, said.field) == (b"x-other", b"2", before.field)
    for line, name in ((b"x-other: 3", b"x-other"), (b"X-Others: 4", b"x-others"), (b"X: 5", b"x")):
        assert read_line(line, before).name == name
    for line in (b"X-Other", b"X-Other : 1", b"X-Other: \x00", b"\r\n:x"):
        with pytest.raises(ProtocolError):
            read_line(line, before)


def test_lists_have_lower_case_members():
    for _ in range(2):
        tokens = tokens_of(b"Keep-Alive, X-Hop")
        assert tokens == (b"keep-alive", b"x-hop")
    assert not OPTIONS.issuperset(tokens)


@pytest.mark.parametrize("line", [b"authorization: Basic c2VjcmV0", b"cookie: session=1", b"x-long: " + b"x" * 512])
def test_secrets_and_long_lines_are_not_kept(line):
    read_line(line)
    assert line not in CACHE


def test_a_field_that_is_never_the_same_gets_no_more_than_its_places():
    CACHE.clear()
    NAMES.clear()
    read_line(b"x-often: 1")
    for number in range(CACHE_SIZE - 1):
        assert read_line(b"x-varied: %d" % number).name == b"x-varied"
    assert sum(line.startswith(b"x-varied") for line in CACHE) == CACHED_VALUES
    assert b"x-often: 1" in CACHE
    read_line(b"x-varied: last")
    assert not CACHE and not any(name.lines for name in NAMES.values())
    assert read_line(b"x-varied: again").line in CACHE


def test_the_cache_starts_anew_when_it_is_full():
    for number in range(2 * CACHE_SIZE):
        read_line(b"x-%d: 1" % number)
        assert len(CACHE) < CACHE_SIZE and len(NAMES) <= CACHE_SIZE


@pytest.mark.parametrize(
    "line", [b"no colon", b"space : x", b" folded: x", b"x: a\x00b", b"x: a\x7fb", b"x: a\rb", b": x"]
)
def test_malformed_lines_are_refused(line):
    with pytest.raises(ProtocolError):
        read_line(line)


def test_a_name_without_its_colon_is_none():
    """Its bytes but the last one are a name that is known."""
    read_line(b"x-mes: 1")
    with pytest.raises(ProtocolError):
        read_line(b"x-mesh")


def test_a_line_that_is_not_cached_is_taken_apart_each_time():
    line = b"X-Never-Seen:x\t"
    assert (name_of(line), value_of(line), line in CACHE) == (b"x-never-seen", b"x", False)


def test_a_layout_tells_what_goes_through_and_what_is_looked_into():
    layouts = Layouts(forwarded=frozenset({PLAIN}), meant=frozenset({SERVER}))
    layout = layouts.of((b"x", b"server", b"keep-alive", b"x", b"y"))
    assert layout.kept == [0, 3, 4] and layout.names == {b"x", b"y"} and layout.repeats
    assert layout.meant == [1] and layout.kinds == [PLAIN, SERVER, HOP, PLAIN, PLAIN]
    assert layouts.of((b"x", b"server", b"keep-alive", b"x", b"y")) is layout
    other = layouts.of((b"server", b"x"))
    assert other.kept == [1] and not other.repeats


def test_a_list_has_so_many_members():
    value = b",".join(b"x" for _ in range(MAX_FIELDS))
    assert len(tokens_of(value)) == MAX_FIELDS
    with pytest.raises(ProtocolError) as caught:
        tokens_of(value + b",x")
    assert caught.value.status == 431
