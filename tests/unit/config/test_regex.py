import pytest

from nodemesh.config import regex


def test_the_whole_has_to_match():
    pattern = regex.compile("/a/.*")
    assert pattern.fullmatch(b"/a/b")
    assert not pattern.fullmatch(b"x/a/b")
    assert pattern.fullmatch(b"/a/b")  # from memory, the same


def test_patterns_are_compiled_once():
    assert regex.compile("abc") is regex.compile("abc")


def test_characters_are_utf8():
    assert regex.compile(".").fullmatch("é".encode())
    assert not regex.compile(".").fullmatch(b"\xff")


def test_results_are_remembered_within_bounds():
    pattern = regex.compile("n[0-9]+")
    for number in range(3000):
        assert pattern.fullmatch(b"n%d" % number)
    assert not pattern.fullmatch(b"n" * 1000)


@pytest.mark.parametrize("text", ["*", "(", "[a", "(?=a)", r"(a)\1", "a{5000}", "\udcff"])
def test_no_patterns(text):
    with pytest.raises(regex.RegexError):
        regex.compile(text)


def test_replacement():
    pattern = regex.compile(r"/v(\d)/(\w+)?")
    assert pattern.sub(rb"/\2/\1", b"/v1/a") == b"/a/1"
    assert pattern.sub(rb"<\0>", b"/v1/a/v2/b") == b"</v1/a></v2/b>"
    assert pattern.sub(rb"\2-\\", b"/v1/") == b"-\\"
    assert pattern.sub(b"x", b"/none") == b"/none"


@pytest.mark.parametrize("replacement", [rb"\1", rb"\x", b"\\"])
def test_no_replacements(replacement):
    with pytest.raises(regex.RegexError):
        regex.compile("a").sub(replacement, b"a")


def test_time_is_linear():
    assert not regex.compile("(a*)*b").fullmatch(b"a" * 50_000)


def test_a_set_tells_all_that_match():
    patterns = regex.PatternSet([regex.compile("/a.*"), regex.compile("/[ab]"), regex.compile(".*b")])
    assert patterns.usable
    found = [patterns.fullmatch(subject) for subject in (b"/a", b"/c", b"\xff\n")]
    assert [each and each & {0, 1, 2} for each in found] == [{0, 1}, set(), set()]


def test_a_set_that_is_too_costly_says_so():
    patterns = [regex.compile(f"(.*a){{40}}{number}.*(b|c|d){{200}}") for number in range(1000)]
    assert not regex.PatternSet(patterns).usable
