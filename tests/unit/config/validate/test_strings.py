from nodemesh.config.problems import Findings
from nodemesh.config.validate.strings import MAX_REGEX, check_headers, check_match, check_regex, writes_authority
from nodemesh.config.virtualservice import HeaderOperations, Headers, StringMatch


def codes(check, *arguments, **options):
    findings = Findings()
    check(*arguments, ("p",), findings, **options)
    return [item.code for item in findings.items]


def test_one_kind_of_match():
    assert codes(check_match, StringMatch(exact="a")) == []
    assert codes(check_match, StringMatch(exact="a", prefix="b")) == ["one-of"]
    assert codes(check_match, StringMatch()) == ["empty-match"]
    assert codes(check_match, StringMatch(), presence="any") == []
    assert codes(check_match, StringMatch(prefix="")) == ["empty-match"]
    assert codes(check_match, StringMatch(prefix=""), empty_prefix=True) == []


def test_the_star_is_presence_in_some_places():
    assert codes(check_match, StringMatch(regex="*"), presence="star") == []
    assert codes(check_match, StringMatch(regex="*"), presence="any") == ["bad-regex"]


def test_expressions_are_bounded():
    assert codes(check_regex, "a" * MAX_REGEX) == []
    assert codes(check_regex, "a" * (MAX_REGEX + 1)) == ["bad-regex"]


def headers(value, name="x"):
    return Headers(request=HeaderOperations(set={name: value}))


def test_format_strings():
    for value in ("%%", "%REQ(a)%", "%REQ(a):10%", "%START_TIME(%s)%", "a"):
        assert codes(check_headers, headers(value)) == [], value
    for value in ("%", "50% off", "%x%", "a\x00"):
        assert codes(check_headers, headers(value)) == ["bad-header"], value


def test_what_writes_the_authority():
    assert writes_authority(headers("a", "Host")) == [("request", "set", "Host")]
    assert writes_authority(headers("a", ":authority")) == [("request", "set", ":authority")]
    assert writes_authority(headers("a")) == []
    assert writes_authority(None) == []
