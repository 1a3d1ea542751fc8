"""Texts that tell two regular expressions apart."""

import pytest

from nodemesh.config.regex import compile
from nodemesh.routing.diff import apart as module
from nodemesh.routing.diff.apart import Unknown, apart
from nodemesh.routing.diff.domain import PATH, Domain


def kinds(one, other, comes=lambda text: True, first=b""):
    """By which of them match: a text."""
    found = {}
    for text in apart(compile(one), compile(other), comes, first):
        found[compile(one).fullmatch(text), compile(other).fullmatch(text)] = text
    return found


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a[0-9]+", "a[0-9]{1,3}", {(True, True), (True, False)}),
        ("(?i)ab", "ab", {(True, True), (True, False)}),
        ("x|y", "y|x", {(True, True)}),
        ("v[12]", "v[23]", {(True, True), (True, False), (False, True)}),
        (r"\w+", r"\d+", {(True, True), (True, False)}),
        ("[^a]", "[^ab]", {(True, True), (True, False)}),
        ("a", "b", {(True, False), (False, True)}),
        (".*jason.*", "(.*;)?jason(;.*)?", {(True, True), (True, False)}),
        ("^(?:ab){2,}$", "(ab)+?", {(True, True), (False, True)}),
        ("a{1,300}", "a{1,299}", {(True, True), (True, False)}),
    ],
)
def test_each_way_in_which_two_differ_has_a_text(one, other, expected):
    assert set(kinds(one, other)) == expected


def test_a_text_is_one_that_can_come():
    path = Domain(PATH, ())
    found = kinds("/a/.*", "/a/[^/]*", path._comes, b"/")
    assert found[True, False] == b"/a/0/", "not /a//, which no path is"
    assert kinds("a", "b", lambda text: text == b"b") == {(False, True): b"b"}


@pytest.mark.parametrize("text", [r"\pL", "(?i:a)b", "a{1,900}|b{1,900}|c{1,900}", r"[\pL]+"])
def test_what_cannot_be_walked_is_said(text):
    with pytest.raises(Unknown):
        list(apart(compile(text), compile("a"), lambda _: True))


def test_a_walk_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 5)
    with pytest.raises(Unknown):
        list(apart(compile("abcdefgh"), compile("abcdefgi"), lambda _: True))
