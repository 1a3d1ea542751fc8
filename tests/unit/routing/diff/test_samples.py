"""Texts that expressions match."""

import pytest

from nodemesh.config.regex import compile
from nodemesh.routing.diff.samples import beginning, samples


@pytest.mark.parametrize(
    "text",
    [
        "a|b", ".*", "(foo|bar)baz?", "[0-9]{3}-[a-f]+", r"\d+\.\w*", "[^/]+/x", "^(.*?;)?(user=jason)(;.*)?$",
        "/api/v[12]/(users|orders)(/.*)?", "(?i)abc", "x{0,3}y", "a+?b*?",
    ],
)  # fmt: skip
def test_each_sample_matches(text):
    pattern = compile(text)
    found = samples(pattern)
    assert found and all(pattern.fullmatch(each) for each in found)


def test_each_branch_has_its_own():
    assert set(samples(compile("/api/(users|orders)"))) == {b"/api/users", b"/api/orders"}


@pytest.mark.parametrize("text", [r"\pL+", "a$b", r"\Ax\zy"])
def test_none_is_found_for_what_is_too_hard(text):
    assert samples(compile(text)) == []


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("/a/[0-9]+", b"/a/"),
        ("^/a.b", b"/a"),
        ("(?i)/a", b""),
        ("a|b", b""),
        ("ab?", b"a"),
        (r"\pL", b""),
        ("é.", "é".encode()),
    ],
)
def test_what_all_texts_begin_with(text, letters):
    assert beginning(compile(text)) == letters
