import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import request

from nodemesh.config.virtualservice import HTTPMatchRequest, StringMatch
from nodemesh.routing.decision import Decision
from nodemesh.routing.match import MANY, TOO_COSTLY, VirtualHost, http_row, query_value

YES, NO = Decision(name="yes"), Decision(name="no")


def decide(req, **match):
    return VirtualHost("h", (http_row(HTTPMatchRequest(**match), YES, 0),), NO).decide(req) is YES


@pytest.mark.parametrize(
    ("uri", "path", "held"),
    [
        (StringMatch(exact="/foo"), "/foo", True),
        (StringMatch(exact="/foo"), "/foo/", False),
        (StringMatch(exact="/foo"), "/foo?x=1", True),
        (StringMatch(prefix="/foo"), "/foobar", True),
        (StringMatch(prefix="/foo"), "/fo", False),
        (StringMatch(prefix="/Foo"), "/foo", False),
        (StringMatch(regex="/v[12]"), "/v1", True),
        (StringMatch(regex="/v[12]"), "/v1/x", False),
        (StringMatch(prefix=""), "/anything", True),
    ],
)
def test_uri(uri, path, held):
    assert decide(request(path), uri=uri) is held


def test_ignore_uri_case_is_for_exact_and_prefix_only():
    assert decide(request("/FOO"), uri=StringMatch(exact="/foo"), ignore_uri_case=True)
    assert decide(request("/fooBAR"), uri=StringMatch(prefix="/Foob"), ignore_uri_case=True)
    assert not decide(request("/FOO"), uri=StringMatch(regex="/foo"), ignore_uri_case=True)


@pytest.mark.parametrize(
    ("match", "headers", "held"),
    [
        (StringMatch(exact="jason"), {"End-User": "jason"}, True),
        (StringMatch(exact="jason"), {"End-User": "Jason"}, False),
        (StringMatch(exact="jason"), {}, False),
        (StringMatch(prefix="ja"), {"End-User": "jason"}, True),
        (StringMatch(regex="j.*"), {"End-User": "jason,x"}, True),
        (StringMatch(), {"End-User": ""}, True),
        (StringMatch(regex="*"), {"End-User": "x"}, True),
        (StringMatch(), {}, False),
    ],
)
def test_headers(match, headers, held):
    assert decide(request(headers=headers), headers={"end-User": match}) is held


@pytest.mark.parametrize(
    ("match", "headers", "held"),
    [
        (StringMatch(exact="jason"), {"end-user": "jason"}, False),
        (StringMatch(exact="jason"), {"end-user": "other"}, True),
        (StringMatch(exact="jason"), {}, True),  # a missing header counts as empty
        (StringMatch(regex=".*"), {}, False),
        (StringMatch(regex="*"), {}, True),
        (StringMatch(), {"end-user": ""}, False),
    ],
)
def test_without_headers(match, headers, held):
    assert decide(request(headers=headers), without_headers={"end-user": match}) is held


def test_pseudo_headers_and_host():
    req = request("/p?q=1", host="Reviews:9080", method="POST")
    assert decide(req, headers={":method": StringMatch(exact="POST")})
    assert decide(req, headers={":path": StringMatch(exact="/p?q=1")})
    assert decide(req, headers={"host": StringMatch(exact="Reviews:9080")})
    assert decide(req, authority=StringMatch(exact="Reviews:9080"))
    assert not decide(req, authority=StringMatch(exact="reviews"))


def test_method_scheme_and_query_hold_together():
    req = request("/p?a=1&b&a=2", method="PUT")
    assert decide(req, method=StringMatch(exact="PUT"), scheme=StringMatch(exact="http"))
    assert not decide(req, method=StringMatch(exact="put"))
    assert decide(req, query_params={"a": StringMatch(exact="1")})
    assert not decide(req, query_params={"a": StringMatch(exact="2")})  # the first value counts
    assert decide(req, query_params={"b": StringMatch()})
    assert not decide(req, query_params={"c": StringMatch()})
    assert not decide(req, method=StringMatch(exact="PUT"), query_params={"c": StringMatch()})


@pytest.mark.parametrize(
    ("match", "held"),
    [
        (None, True),
        (HTTPMatchRequest(), True),
        (HTTPMatchRequest(uri=StringMatch(prefix="/")), True),
        (HTTPMatchRequest(uri=StringMatch(regex=".*")), True),
        (HTTPMatchRequest(uri=StringMatch(prefix="/x")), False),
        (HTTPMatchRequest(uri=StringMatch(prefix="/"), headers={"a": StringMatch()}), False),
    ],
)
def test_a_row_that_matches_all_is_known_as_such(match, held):
    assert http_row(match, YES, 0).matches_all is held


PATHS = ("/", "/a", "/a/b", "/A", "/b", "/b/c")
KINDS = st.sampled_from(["exact", "prefix", "regex"])
URIS = st.none() | st.builds(lambda kind, path: StringMatch(**{kind: path}), KINDS, st.sampled_from(PATHS))
HEADERS = st.sampled_from([{}, {"x": StringMatch(exact="1")}, {"y": StringMatch(prefix="")}])


@given(st.lists(st.tuples(URIS, st.booleans(), HEADERS), max_size=12), st.sampled_from(PATHS), st.booleans())
def test_the_first_row_that_matches_decides_however_rows_stand_together(matches, path, header):
    rows = [
        http_row(HTTPMatchRequest(uri=uri, ignore_uri_case=folded, headers=headers), Decision(name=str(number)), number)
        for number, (uri, folded, headers) in enumerate(matches)
    ]
    asked = request(path, headers={"x": "1"} if header else {})
    first = next((row.decision for row in rows if row.matches(asked)), NO)
    assert VirtualHost("h", rows, NO).decide(asked) is first


@given(st.text("ab=&", max_size=12), st.sampled_from(["a", "b", "ab", "="]))
def test_a_query_parameter_is_the_first_of_its_name(query, key):
    found = [value for name, _, value in (part.partition("=") for part in query.split("&") if part) if name == key]
    assert query_value(query.encode(), key.encode()) == (found[0].encode() if found else None)


def host_of(*patterns: str, **more) -> VirtualHost:
    rows = [
        http_row(HTTPMatchRequest(uri=StringMatch(regex=pattern), **more), Decision(name=str(number)), 0)
        for number, pattern in enumerate(patterns)
    ]
    return VirtualHost("h", [http_row(HTTPMatchRequest(headers={"x": StringMatch(exact="first")}), YES, 0), *rows], NO)


@pytest.mark.parametrize("count", [MANY - 1, MANY, 500])
def test_the_first_regex_that_matches_wins_however_many_they_are(count):
    host = host_of(*(f"/v{number}/.*" for number in range(count)), "/v3/x", "/.*/last")
    assert host.decide(request("/v3/x")).name == "3"
    assert host.decide(request("/w/last")).name == str(count + 1)
    assert host.decide(request("/v3/x", headers={"x": "first"})) is YES
    assert host.decide(request("/w")) is NO


def test_many_regexes_are_one_pass():
    host = host_of(*(f"/v{number}/.*" for number in range(5000)))
    assert host.blocks[-1].patterns is not None
    assert host.decide(request("/v4999/" + "a" * 50_000)).name == "4999"


def test_regexes_that_are_too_costly_together_have_a_budget():
    host = host_of(*(f"/(.*a){{40}}{number}.*(b|c|d){{200}}" for number in range(1000)))
    assert host.blocks[-1].patterns is None
    assert host.decide(request("/" + "a" * 48_000)) is TOO_COSTLY


def test_regexes_of_fields_have_the_same_budget():
    rows = [
        http_row(HTTPMatchRequest(headers={"x": StringMatch(regex=f"(.*,)?{number}b")}), Decision(name=str(number)), 0)
        for number in range(100)
    ]
    host = VirtualHost("h", rows, NO)
    assert host.decide(request(headers={"x": "99b"})).name == "99"
    assert host.decide(request(headers={"x": "a" * 20_000})) is TOO_COSTLY
