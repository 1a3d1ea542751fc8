"""Wildcards that cover a name: the same as by a look at each, and without one."""

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.routing import wildcards
from nodemesh.routing.names import by_specificity, covers
from nodemesh.routing.wildcards import Wildcards, wildcards_of

NAMES = st.text("ab.*", max_size=6)


@given(st.lists(NAMES, max_size=12), NAMES, st.booleans())
def test_those_that_cover_a_name_are_found_the_most_specific_first(patterns, name, wide):
    host = f"*{name}" if wide else name
    expected = [pattern for pattern in by_specificity(dict.fromkeys(patterns)) if covers(pattern, host)]
    assert list(Wildcards(patterns).covering(host)) == expected


def test_no_look_at_all_the_others(monkeypatch):
    many = tuple(f"*.w{number}.example" for number in range(10_000))
    found = Wildcards(many)
    looked = []

    class Counted(dict):
        def get(self, key, default=None):
            looked.append(key)
            return super().get(key, default)

    found._suffixes = Counted(found._suffixes)
    assert list(found.covering("x.w77.example")) == ["*.w77.example"] and len(looked) < 10


def test_those_of_a_tuple_are_made_once():
    patterns = ("*.example", "*")
    assert wildcards_of(patterns) is wildcards_of(patterns)
    assert list(wildcards_of(("*.other",)).covering("a.other")) == ["*.other"]
    for number in range(2 * wildcards._KNOWN.limit):
        wildcards_of((f"*.{number}",))
    assert len(wildcards._KNOWN.found) <= wildcards._KNOWN.limit
